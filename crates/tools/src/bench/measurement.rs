//! The result of one test.

use serde::Serialize;

/// One test of one model, with the facts needed to compare it. Fields are named as in
/// `llama-bench`, so that the same scripts read both.
#[derive(Debug, Clone, Serialize)]
pub struct Measurement {
    /// This program and its version.
    pub build: String,
    /// The processor, if the system tells its name.
    pub cpu_info: Option<String>,
    /// Instruction set in use.
    pub isa: &'static str,
    /// What the threads can read of memory, in GB/s.
    pub bandwidth_gb_s: Option<f64>,
    /// What the threads can compute with the instruction set, in 10⁹ 8-bit operations per second;
    /// `None` for portable code.
    pub int8_gops: Option<f64>,
    /// Always `CPU`.
    pub backends: &'static str,
    /// The model file.
    pub model_filename: String,
    /// Architecture, parameters and type of most weights.
    pub model_type: String,
    /// Bytes of all tensors.
    pub model_size: u64,
    /// Values of all tensors.
    pub model_n_params: u64,
    /// Most tokens of a prompt that are evaluated at once.
    pub n_batch: usize,
    /// Whether results don't depend on how tokens are batched.
    pub batch_invariant: bool,
    /// Threads.
    pub n_threads: usize,
    /// Format of keys in memory.
    pub type_k: &'static str,
    /// Format of values in memory.
    pub type_v: &'static str,
    /// Tokens of the prompt; 0 for tests of generation.
    pub n_prompt: usize,
    /// Tokens generated one by one; 0 for tests of prompts.
    pub n_gen: usize,
    /// Tokens in memory before the test.
    pub n_depth: usize,
    /// Mean time of a repetition in nanoseconds.
    pub avg_ns: u64,
    /// Its standard deviation.
    pub stddev_ns: u64,
    /// Mean of the repetitions' tokens per second.
    pub avg_ts: f64,
    /// Its standard deviation.
    pub stddev_ts: f64,
    /// Nanoseconds of each repetition.
    pub samples_ns: Vec<u64>,
    /// Tokens per second of each repetition.
    pub samples_ts: Vec<f64>,
}

impl Measurement {
    /// The test's name: `pp512`, `tg128`, `tg128 @ d4096`.
    pub fn test(&self) -> String {
        test_name(self.n_prompt, self.n_gen, self.n_depth)
    }

    /// Stores the times of all repetitions and what follows from them.
    pub(super) fn set_samples(&mut self, samples_ns: Vec<u64>) {
        let tokens = (self.n_prompt + self.n_gen) as f64;
        let times: Vec<f64> = samples_ns.iter().map(|&ns| ns as f64).collect();
        self.samples_ts = times.iter().map(|ns| tokens * 1e9 / ns.max(1.0)).collect();
        let (avg_ns, stddev_ns) = mean_and_deviation(&times);
        (self.avg_ns, self.stddev_ns) = (avg_ns.round() as u64, stddev_ns.round() as u64);
        (self.avg_ts, self.stddev_ts) = mean_and_deviation(&self.samples_ts);
        self.samples_ns = samples_ns;
    }
}

/// See [`Measurement::test`].
pub(super) fn test_name(n_prompt: usize, n_gen: usize, n_depth: usize) -> String {
    let name = if n_gen == 0 { format!("pp{n_prompt}") } else { format!("tg{n_gen}") };
    if n_depth == 0 { name } else { format!("{name} @ d{n_depth}") }
}

/// Mean, and the standard deviation of a sample; 0 for a single value.
fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}

/// A result, for tests.
#[cfg(test)]
pub(super) fn example() -> Measurement {
    let mut m = Measurement {
        build: "llamafile 0.1.0".into(),
        cpu_info: Some("Some \"fast\" one".into()),
        isa: "avx2",
        bandwidth_gb_s: Some(26.04),
        int8_gops: Some(501.7),
        backends: "CPU",
        model_filename: "a,b.gguf".into(),
        model_type: "llama 1.24B Q4_0".into(),
        model_size: 733_750_000,
        model_n_params: 1_235_814_400,
        n_batch: 512,
        batch_invariant: false,
        n_threads: 2,
        type_k: "f16",
        type_v: "f16",
        n_prompt: 512,
        n_gen: 0,
        n_depth: 0,
        avg_ns: 0,
        stddev_ns: 0,
        avg_ts: 0.0,
        stddev_ts: 0.0,
        samples_ns: Vec::new(),
        samples_ts: Vec::new(),
    };
    m.set_samples(vec![2_000_000_000, 4_000_000_000]);
    m
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_are_those_of_a_sample() {
        assert_eq!(mean_and_deviation(&[5.0]), (5.0, 0.0));
        let (mean, deviation) = mean_and_deviation(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(mean, 2.5);
        assert!((deviation - 1.290_994_4).abs() < 1e-6, "{deviation}");
    }

    #[test]
    fn tests_are_named_as_in_llama_bench() {
        assert_eq!(test_name(512, 0, 0), "pp512");
        assert_eq!(test_name(0, 128, 4096), "tg128 @ d4096");
    }
}

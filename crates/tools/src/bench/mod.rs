//! Prompt and generation speed of model files.
//!
//! Tests are those of llama.cpp's `llama-bench`: `ppN` evaluates a prompt of `N` tokens, `tgN`
//! evaluates `N` tokens one by one; both into a memory that holds a given number of tokens already.
//! Each is preceded by one run that is not counted (of generation, by one token). Memory is filled,
//! and loading is over, before the clock starts.

mod measurement;
mod page;
mod report;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ::selftest::Fault;
use backend::KvTypes;
use cpu::Cpu;
use cpu::isa::Isa;
use cpu::topology::{Placement, Topology};
use gguf::{Gguf, Location};
use model::{Context, Model, OutputKind, Outputs};

use crate::processor::Processor;
use crate::{Error, file_type};
use measurement::test_name;

pub use measurement::Measurement;
pub use page::page;
pub use report::{Format, Report};
pub(crate) use report::{count, size};

/// What to measure of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Lengths of prompts.
    pub prompts: Vec<usize>,
    /// Numbers of tokens to generate.
    pub generations: Vec<usize>,
    /// Tokens in memory before each test.
    pub depths: Vec<usize>,
    /// Numbers of threads; empty for the one that suits the machine.
    pub threads: Vec<usize>,
    /// Where threads run; the calling thread is one of them, and stays bound.
    pub placement: Placement,
    /// Counted runs of each test, at least 1.
    pub repetitions: usize,
    /// Most tokens of a prompt that are evaluated at once, at least 1.
    pub batch: usize,
    /// Whether results must not depend on how tokens are batched.
    pub batch_invariant: bool,
    /// Formats of keys and values in memory.
    pub kv_types: KvTypes,
}

impl Default for Plan {
    /// The tests of `llama-bench`.
    fn default() -> Self {
        Self {
            prompts: vec![512],
            generations: vec![128],
            depths: vec![0],
            threads: Vec::new(),
            placement: Placement::default(),
            repetitions: 5,
            batch: 512,
            batch_invariant: false,
            kv_types: KvTypes::default(),
        }
    }
}

/// What happens while a model is measured.
#[derive(Debug)]
pub enum Event<'a> {
    /// A kernel is wrong on this machine, and not used.
    Fault(&'a Fault),
    /// A test goes on; not sent while the clock runs.
    Progress {
        /// The model and the test.
        test: &'a str,
        /// Tokens evaluated.
        done: usize,
        /// Tokens of the whole test.
        total: usize,
    },
    /// A test is complete.
    Done(&'a Measurement),
}

/// Measures a model.
///
/// # Errors
/// A file that can't be read or is no model that generates text, too little memory, processors that
/// can't be used, or an environment that names such an instruction set.
pub fn run(file: &Location, plan: &Plan, notice: &mut dyn FnMut(Event<'_>)) -> Result<(), Error> {
    let path = file.path();
    let failed = |error| Error::Model { path: path.to_owned(), error };
    let gguf = file.open()?;
    let model = model::load(&gguf).map_err(failed)?;
    if model.shape().output != OutputKind::Logits {
        return Err(Error::NotGenerative { path: path.to_owned() });
    }
    let processor = Processor::for_model(&gguf, plan.kv_types)?;
    processor.faults.iter().for_each(|fault| notice(Event::Fault(fault)));
    let facts = facts(path, &gguf, plan, processor.isa)?;
    let default_threads = [plan.placement.plan(Topology::of_process(), None)?.threads];
    let all_threads = if plan.threads.is_empty() { &default_threads[..] } else { &plan.threads };
    for &threads in all_threads {
        let options = processor.options(Some(threads), plan.batch_invariant);
        let backend = Cpu::placed(options, &plan.placement)?;
        let limits = backend.limits();
        let mut facts = Measurement {
            n_threads: threads,
            bandwidth_gb_s: limits.bandwidth,
            int8_gops: limits.int8,
            ..facts.clone()
        };
        let mut runner = Runner::new(&model, plan, backend).map_err(failed)?;
        for test in plan.tests() {
            let name = format!("{} {}", facts.model_type, test.name());
            let mut progress = |done, total| notice(Event::Progress { test: &name, done, total });
            let samples = runner.measure(test, &mut progress).map_err(failed)?;
            (facts.n_prompt, facts.n_gen) = (test.prompt, test.generated);
            facts.n_depth = test.depth;
            facts.set_samples(samples);
            notice(Event::Done(&facts));
        }
    }
    Ok(())
}

/// One row of the results.
#[derive(Debug, Clone, Copy)]
struct Test {
    /// Tokens of the prompt; 0 where tokens are generated.
    prompt: usize,
    generated: usize,
    depth: usize,
}

impl Test {
    fn name(self) -> String {
        test_name(self.prompt, self.generated, self.depth)
    }

    /// Positions that memory holds in the end.
    fn positions(self) -> usize {
        self.depth + self.prompt + self.generated
    }
}

impl Plan {
    /// Prompts, then generations, of each depth; without those of no tokens.
    fn tests(&self) -> impl Iterator<Item = Test> {
        self.depths.iter().flat_map(move |&depth| {
            let prompts = self.prompts.iter().map(move |&n| (n, 0));
            let tests = prompts.chain(self.generations.iter().map(|&n| (0, n)));
            tests.filter(|test| *test != (0, 0)).map(move |(prompt, generated)| Test {
                prompt,
                generated,
                depth,
            })
        })
    }

    /// Whether there is nothing to measure.
    pub fn is_empty(&self) -> bool {
        self.tests().next().is_none()
    }
}

/// A model on a number of threads.
struct Runner<'a> {
    plan: &'a Plan,
    context: Context,
    tokens: Vec<u32>,
}

impl<'a> Runner<'a> {
    fn new(model: &Arc<dyn Model>, plan: &'a Plan, backend: Cpu) -> Result<Self, model::Error> {
        let n_ctx = plan.tests().map(Test::positions).max().unwrap_or(0);
        // The second sequence remembers where repetitions begin.
        let backend = Box::new(backend);
        let context = Context::with_sequences(model.clone(), backend, n_ctx, 2, plan.kv_types)?;
        // Tokens that differ, over all of the vocabulary: a prime step.
        let n_vocab = model.shape().n_vocab;
        let tokens = (0..n_ctx).map(|i| (i * 7919 % n_vocab) as u32).collect();
        Ok(Self { plan, context, tokens })
    }

    /// Nanoseconds of each repetition.
    fn measure(
        &mut self,
        test: Test,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<u64>, model::Error> {
        let Test { prompt, generated, depth } = test;
        let warm_up = prompt + generated.min(1);
        let counted = prompt + generated;
        let total = depth + warm_up + self.plan.repetitions * counted;
        progress(0, total);
        self.context.clear();
        self.evaluate(0, depth, self.plan.batch)?;
        self.context.fork(0, 1);
        progress(depth, total);
        let batch = if generated > 0 { 1 } else { self.plan.batch };
        self.evaluate(depth, warm_up, batch)?;
        let mut samples = Vec::with_capacity(self.plan.repetitions);
        for repetition in 0..self.plan.repetitions {
            progress(depth + warm_up + repetition * counted, total);
            self.context.fork(1, 0);
            let start = Instant::now();
            self.evaluate(depth, counted, batch)?;
            samples.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
        Ok(samples)
    }

    /// Evaluates `n` tokens from position `start` on, `batch` at once, with logits for the last of
    /// each batch, as `llama-bench` does.
    fn evaluate(&mut self, start: usize, n: usize, batch: usize) -> Result<(), model::Error> {
        for batch in self.tokens[start..start + n].chunks(batch) {
            self.context.decode(batch, Outputs::Last)?;
        }
        Ok(())
    }
}

/// All that is known before the first test.
fn facts(path: &Path, gguf: &Gguf, plan: &Plan, isa: Isa) -> Result<Measurement, Error> {
    let metadata = gguf.metadata();
    let values = |shape: &[usize]| shape.iter().map(|&n| n as u64).product::<u64>();
    let n_params = gguf.tensors().iter().map(|tensor| values(&tensor.shape)).sum();
    let architecture = metadata.str("general.architecture")?;
    let file_type = metadata.opt_u32("general.file_type")?.and_then(file_type::name);
    Ok(Measurement {
        build: concat!("llamafile ", env!("CARGO_PKG_VERSION")).to_owned(),
        cpu_info: cpu::host::cpu_name(),
        isa: isa.name(),
        bandwidth_gb_s: None,
        int8_gops: None,
        backends: "CPU",
        model_filename: path.display().to_string(),
        model_type: [
            architecture,
            &report::count(n_params).replace(' ', ""),
            file_type.unwrap_or("unknown type"),
        ]
        .join(" "),
        model_size: gguf.tensors().iter().map(|tensor| tensor.size() as u64).sum(),
        model_n_params: n_params,
        n_batch: plan.batch,
        batch_invariant: plan.batch_invariant,
        n_threads: 0,
        type_k: plan.kv_types.k.name(),
        type_v: plan.kv_types.v.name(),
        n_prompt: 0,
        n_gen: 0,
        n_depth: 0,
        avg_ns: 0,
        stddev_ns: 0,
        avg_ts: 0.0,
        stddev_ts: 0.0,
        samples_ns: Vec::new(),
        samples_ts: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::{self, Recipe, Shape};

    #[test]
    fn tests_are_prompts_then_generations_of_each_depth() {
        let plan = Plan {
            prompts: vec![512, 64],
            generations: vec![0, 16],
            depths: vec![0, 256],
            ..Plan::default()
        };
        let names: Vec<String> = plan.tests().map(Test::name).collect();
        assert_eq!(names, ["pp512", "pp64", "tg16", "pp512 @ d256", "pp64 @ d256", "tg16 @ d256"]);
        let nothing = Plan { prompts: vec![0], generations: vec![], ..Plan::default() };
        assert!(nothing.is_empty() && !plan.is_empty());
    }

    #[test]
    fn a_model_is_measured_as_planned() {
        let path = std::env::temp_dir().join(format!("bench-{}.gguf", std::process::id()));
        let shape = Shape::tiny("llama-1b");
        synth::write_file(&path, &shape, Recipe::default(), 1, &mut |_, _| {}).unwrap();
        let plan = Plan {
            prompts: vec![20],
            generations: vec![3],
            depths: vec![0, 70],
            threads: vec![1, 2],
            repetitions: 2,
            batch: 16,
            ..Plan::default()
        };
        let (mut rows, mut last) = (Vec::new(), (0, 1));
        run(&path.clone().into(), &plan, &mut |event| match event {
            Event::Fault(fault) => panic!("{fault}"),
            Event::Progress { done, total, .. } => last = (done, total),
            Event::Done(measurement) => rows.push(measurement.clone()),
        })
        .unwrap();
        let found: Vec<_> = rows.iter().map(|row| (row.n_threads, row.test())).collect();
        let names = ["pp20", "tg3", "pp20 @ d70", "tg3 @ d70"];
        let expected = [1, 2].map(|threads| names.map(|name| (threads, name.to_owned())));
        assert_eq!(found, expected.concat());
        for row in &rows {
            assert_eq!(row.samples_ns.len(), 2);
            assert!(row.avg_ts > 0.0 && row.samples_ns.iter().all(|&ns| ns > 0));
            assert_eq!(row.model_type, "llama 1.26M Q4_K_M");
            assert!(row.bandwidth_gb_s.is_some_and(|gb_per_s| gb_per_s > 0.0));
        }
        assert_eq!(last, (70 + 1 + 3, 70 + 1 + 2 * 3));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_file_that_is_no_model_is_refused() {
        let error =
            run(&Path::new("no/such.gguf").into(), &Plan::default(), &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("no/such.gguf"), "{error}");
    }
}

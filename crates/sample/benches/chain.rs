//! Time of choosing a token from the logits of a vocabulary of 128 k.
//!
//! `cargo bench -p sample --bench chain`

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sample::{Mirostat, Params, Sampler, SamplerKind, Vocabulary};

const N: usize = 128 * 1024;
const RUNS: usize = 200;

fn main() -> Result<(), sample::SampleError> {
    let vocabulary: Arc<dyn Vocabulary> = Arc::new(Letters);
    let default = Params { seed: Some(1), ..Params::default() };
    let full = Params {
        repeat_penalty: 1.1,
        frequency_penalty: 0.1,
        dry_multiplier: 0.8,
        top_n_sigma: 4.0,
        typical_p: 0.98,
        xtc_probability: 0.5,
        dynatemp_range: 0.3,
        n_probs: 10,
        ..default.clone()
    };
    let cases = [
        ("greedy", Params { temperature: 0.0, ..default.clone() }),
        ("default", default.clone()),
        ("everything", full.clone()),
        ("everything, no top-k, no n-sigma", Params { top_k: 0, top_n_sigma: 0.0, ..full.clone() }),
        ("top-p alone", Params { samplers: vec![SamplerKind::TopP], ..default.clone() }),
        (
            "typical alone",
            Params { samplers: vec![SamplerKind::TypicalP], typical_p: 0.9, ..default.clone() },
        ),
        (
            "adaptive alone",
            Params {
                samplers: vec![SamplerKind::AdaptiveP],
                adaptive_target: 0.3,
                ..default.clone()
            },
        ),
        (
            "XTC alone",
            Params {
                samplers: vec![SamplerKind::Xtc],
                xtc_probability: 1.0,
                xtc_threshold: 1e-4,
                ..default.clone()
            },
        ),
        (
            "dynamic temperature alone",
            Params {
                samplers: vec![SamplerKind::Temperature],
                dynatemp_range: 0.3,
                ..default.clone()
            },
        ),
        (
            "temperature alone",
            Params { samplers: vec![SamplerKind::Temperature], ..default.clone() },
        ),
        ("mirostat", Params { mirostat: Mirostat::V1, ..default.clone() }),
        ("mirostat 2", Params { mirostat: Mirostat::V2, ..default }),
    ];
    for (name, params) in cases {
        for (kind, spread) in [("peaked", 3.0f32), ("flat", 0.3)] {
            let mut sampler = Sampler::new(&params, &vocabulary)?;
            let logits = logits(spread);
            let mut times: Vec<Duration> = Vec::new();
            for _ in 0..RUNS {
                let mut logits = logits.clone();
                let start = Instant::now();
                let token = sampler.sample(&mut logits, None)?;
                times.push(start.elapsed());
                sampler.accept(token);
            }
            times.sort();
            let micros = |at: usize| times[at].as_secs_f64() * 1e6;
            println!(
                "{name}, {kind}: median {:.0} µs, 99 % {:.0} µs",
                micros(RUNS / 2),
                micros(RUNS * 99 / 100)
            );
        }
    }
    Ok(())
}

/// About normal logits of this standard deviation.
fn logits(spread: f32) -> Vec<f32> {
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..N).map(|_| ((0..12).map(|_| uniform()).sum::<f32>() - 6.0) * spread).collect()
}

/// A vocabulary of as many tokens, all of one letter.
struct Letters;

impl Vocabulary for Letters {
    fn n_tokens(&self) -> usize {
        N
    }

    fn bytes(&self, _: u32) -> Cow<'_, [u8]> {
        Cow::Borrowed(b"a")
    }

    fn is_control(&self, _: u32) -> bool {
        false
    }

    fn encode(&self, _: &str) -> Vec<u32> {
        Vec::new()
    }

    fn end_tokens(&self) -> &[u32] {
        &[]
    }

    fn end_of_turn(&self) -> Option<u32> {
        None
    }

    fn suppressed(&self) -> &[u32] {
        &[]
    }
}

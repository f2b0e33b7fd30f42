use proptest::prelude::*;

use super::*;
use crate::vocabulary::testing::Words;
use crate::{Mirostat, SamplerKind};

fn vocabulary() -> Arc<dyn Vocabulary> {
    Arc::new(Words::letters())
}

fn sampler(params: Params) -> Sampler {
    Sampler::new(&params, &vocabulary()).expect("valid parameters")
}

fn params(temperature: f32) -> Params {
    Params { temperature, seed: Some(11), ..Params::default() }
}

/// Everything on.
fn full(seed: u32) -> Params {
    Params {
        seed: Some(seed),
        repeat_penalty: 1.1,
        frequency_penalty: 0.1,
        presence_penalty: 0.1,
        dry_multiplier: 0.5,
        top_n_sigma: 3.0,
        typical_p: 0.95,
        xtc_probability: 0.5,
        dynatemp_range: 0.3,
        ..Params::default()
    }
}

fn run(params: Params, n: usize) -> Vec<u32> {
    let mut sampler = sampler(params);
    let logits: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin() * 4.0).collect();
    let mut next = || {
        let token = sampler.sample(&mut logits.clone(), None).expect("finite logits");
        sampler.accept(token);
        token
    };
    (0..n).map(|_| next()).collect()
}

#[test]
fn equal_seeds_repeat_and_others_differ() {
    assert_eq!(run(params(1.0), 50), run(params(1.0), 50));
    assert_ne!(run(params(1.0), 50), run(Params { seed: Some(12), ..params(1.0) }, 50));
    assert_eq!(run(full(3), 50), run(full(3), 50));
    assert_ne!(run(full(3), 50), run(full(4), 50));
    for mirostat in [Mirostat::V1, Mirostat::V2] {
        let params = |seed| Params { mirostat, ..full(seed) };
        assert_eq!(run(params(3), 50), run(params(3), 50));
        assert_ne!(run(params(3), 50), run(params(4), 50));
    }
    let adaptive = |seed| Params {
        samplers: vec![SamplerKind::AdaptiveP],
        adaptive_target: 0.2,
        ..full(seed)
    };
    assert_eq!(run(adaptive(3), 50), run(adaptive(3), 50));
}

#[test]
fn a_fresh_seed_can_be_read_back() {
    let mut first = sampler(Params::default());
    let mut again = sampler(Params { seed: Some(first.seed()), ..Params::default() });
    for _ in 0..20 {
        let logits = || [0.0f32; 30];
        assert_eq!(first.sample(&mut logits(), None), again.sample(&mut logits(), None));
    }
}

#[test]
fn no_temperature_is_greedy_after_penalties() {
    let mut sampler = sampler(Params { presence_penalty: 2.0, ..params(0.0) });
    assert_eq!(sampler.sample(&mut [1.0, 3.0, 2.0, 3.0], None), Ok(1));
    sampler.accept(1);
    assert_eq!(sampler.sample(&mut [1.0, 3.0, 2.0, 3.0], None), Ok(3));
}

#[test]
fn no_temperature_takes_what_xtc_leaves() {
    let logits = [0.1f32, 0.4, 0.2, 0.3].map(f32::ln);
    let mut sampler = sampler(Params { xtc_probability: 1.0, xtc_threshold: 0.15, ..params(0.0) });
    assert_eq!(sampler.sample(&mut logits.clone(), None), Ok(2));
}

#[test]
fn samplers_run_in_their_order() {
    // top_k leaves 0 and 1 with shares 0.6 and 0.4 of the rest, so top_p 0.55
    // leaves only token 0; over all four its share is 0.3 and two would stay.
    let probs = [0.3f32, 0.2, 0.25 - 0.06, 0.19];
    let chosen = |samplers: &str| {
        let samplers = samplers.chars().filter_map(SamplerKind::from_letter).collect();
        let p = Params { samplers, top_k: 2, top_p: 0.45, ..params(1.0) };
        let mut sampler = sampler(p);
        let draw = |_| sampler.sample(&mut probs.map(f32::ln), None).expect("a token");
        let mut tokens: Vec<u32> = (0..100).map(draw).collect();
        tokens.sort();
        tokens.dedup();
        tokens
    };
    assert_eq!(chosen("kp"), [0]);
    assert_eq!(chosen("pk"), [0, 1]);
    assert_eq!(chosen(""), [0, 1, 2, 3]);
}

#[test]
fn biases_ends_and_suppressed_tokens_come_first() {
    let mut words = Words::new(&["a", "b", "c", "d"]);
    words.ends = vec![2];
    words.suppressed = vec![3];
    let words: Arc<dyn Vocabulary> = Arc::new(words);
    let choose = |params: &Params| {
        let mut sampler = Sampler::new(params, &words).expect("valid parameters");
        sampler.sample(&mut [1.0, 2.0, 3.0, 9.0], None)
    };
    let mut params = params(0.0);
    assert_eq!(choose(&params), Ok(2));
    params.ignore_eos = true;
    assert_eq!(choose(&params), Ok(1));
    params.logit_bias = vec![(0, 1.0), (0, 0.5), (99, 1.0)];
    assert_eq!(choose(&params), Ok(0));
    params.logit_bias = vec![(0, f32::NEG_INFINITY), (1, f32::NEG_INFINITY)];
    assert_eq!(choose(&params), Err(SampleError::AllMasked(4)));
    let mirostat = Params { mirostat: Mirostat::V2, ..params };
    assert_eq!(choose(&mirostat), Err(SampleError::AllMasked(4)));
}

#[test]
fn only_allowed_tokens_are_chosen() {
    let mut logits: Vec<f32> = (0..100).map(|i| i as f32).collect();
    let mut greedy = sampler(params(0.0));
    assert_eq!(greedy.sample(&mut logits.clone(), Some(&[u32::MAX, 0b101])), Ok(34));
    assert_eq!(greedy.sample(&mut logits.clone(), Some(&[u32::MAX; 4])), Ok(99));
    assert_eq!(greedy.sample(&mut logits, Some(&[0, 0, 0, 0])), Err(SampleError::AllMasked(100)));
}

#[test]
fn probabilities_of_the_model_and_after_the_samplers() {
    let probs = [0.1f32, 0.4, 0.2, 0.3];
    let close = |a: f32, b: f32| (a - b).abs() < 1e-6;
    let mut p = Params { n_probs: 2, top_k: 2, top_p: 1.0, min_p: 0.0, ..params(0.5) };
    let mut before = sampler(p.clone());
    let token = before.sample(&mut probs.map(f32::ln), None).expect("a token");
    let got = before.probabilities().expect("asked for");
    assert_eq!(got.chosen.token, token);
    assert!(close(got.chosen.probability, probs[token as usize]));
    assert!(close(got.chosen.log_probability, probs[token as usize].ln()));
    assert_eq!(got.top.iter().map(|t| t.token).collect::<Vec<_>>(), [1, 3]);
    assert!(close(got.top[1].probability, 0.3));

    p.post_sampling_probs = true;
    p.n_probs = 5;
    let mut after = sampler(p);
    after.sample(&mut probs.map(f32::ln), None).expect("a token");
    let got = after.probabilities().expect("asked for");
    assert_eq!(got.top.iter().map(|t| t.token).collect::<Vec<_>>(), [1, 3]);
    assert!(close(got.top[0].probability, 0.16 / 0.25));
    assert!(sampler(params(1.0)).probabilities().is_none());
}

#[test]
fn broken_logits_are_errors() {
    let mut sampler_1 = sampler(params(1.0));
    assert_eq!(sampler_1.sample(&mut [], None), Err(SampleError::Empty));
    let nan = SampleError::Invalid { token: 1, value: "NaN".into() };
    assert_eq!(sampler_1.sample(&mut [0.0, f32::NAN], None), Err(nan));
    let inf = SampleError::Invalid { token: 0, value: "inf".into() };
    assert_eq!(sampler_1.sample(&mut [f32::INFINITY, 0.0], None), Err(inf));
    for t in [0.0, 1.0] {
        let masked = sampler(params(t)).sample(&mut [f32::NEG_INFINITY; 5], None);
        assert_eq!(masked, Err(SampleError::AllMasked(5)));
    }
}

fn any_params() -> impl Strategy<Value = Params> {
    let chain = prop::collection::vec(0usize..11, 0..12);
    let floats = prop::collection::vec(prop_oneof![any::<f32>(), -2f32..2.0], 18);
    (chain, floats, 0usize..60, 0usize..5, 0i64..3).prop_map(|(chain, x, k, min_keep, mirostat)| {
        Params {
            samplers: chain.into_iter().filter_map(|i| SamplerKind::all().nth(i)).collect(),
            seed: Some(1),
            min_keep,
            top_k: k,
            temperature: x[0],
            dynatemp_range: x[1],
            dynatemp_exponent: x[2],
            top_p: x[3],
            min_p: x[4],
            typical_p: x[5],
            top_n_sigma: x[6],
            xtc_probability: x[7],
            xtc_threshold: x[8],
            repeat_penalty: x[9],
            presence_penalty: x[10],
            frequency_penalty: x[11],
            dry_multiplier: x[12],
            dry_base: x[13],
            dry_allowed_length: min_keep,
            adaptive_target: x[14],
            adaptive_decay: x[15],
            mirostat: Mirostat::from_number(mirostat).unwrap_or_default(),
            mirostat_tau: x[16],
            mirostat_eta: x[17],
            ..Params::default()
        }
    })
}

proptest! {
    #[test]
    fn never_panics_and_never_picks_a_forbidden_token(
        logits in prop::collection::vec(any::<f32>(), 0..50),
        params in any_params(),
    ) {
        let Ok(mut sampler) = Sampler::new(&params, &vocabulary()) else { return Ok(()) };
        let infill = params.samplers.contains(&SamplerKind::Infill);
        for _ in 0..4 {
            let logits: Vec<f32> = logits.iter().take(26).copied().collect();
            if let Ok(token) = sampler.sample(&mut logits.clone(), None) {
                prop_assert!(infill || logits[token as usize] > f32::NEG_INFINITY);
                sampler.accept(token);
            }
        }
    }
}

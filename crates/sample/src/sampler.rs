use crate::candidates::Candidates;
use crate::draw::draw;
use crate::greedy::greedy;
use crate::min_p::min_p;
use crate::penalties::Penalties;
use crate::rng::{Rng, fresh_seed};
use crate::temperature::temperature;
use crate::top_k::top_k;
use crate::top_p::top_p;
use crate::{Params, SampleError};

/// Chooses tokens for one sequence, remembering what it accepted.
pub struct Sampler {
    params: Params,
    seed: u32,
    rng: Rng,
    penalties: Penalties,
    candidates: Candidates,
}

impl Sampler {
    /// A sampler with no history.
    pub fn new(params: Params) -> Self {
        let seed = params.seed.unwrap_or_else(fresh_seed);
        Self {
            seed,
            rng: Rng::new(seed),
            penalties: Penalties::new(&params),
            candidates: Candidates::default(),
            params,
        }
    }

    /// Chooses a token from `logits`, one per vocabulary token; -inf forbids a token.
    ///
    /// The penalties are written into `logits`. The token is not remembered
    /// until it is passed to [`Sampler::accept`].
    ///
    /// # Errors
    /// [`SampleError`] when there are no logits, one is NaN or +inf, or all are -inf.
    pub fn sample(&mut self, logits: &mut [f32]) -> Result<u32, SampleError> {
        check(logits)?;
        self.penalties.apply(logits);
        let p = &self.params;
        let masked = SampleError::AllMasked(logits.len());
        if p.temperature <= 0.0 {
            return greedy(logits).ok_or(masked);
        }
        top_k(p.top_k, logits, &mut self.candidates);
        top_p(p.top_p, &mut self.candidates);
        min_p(p.min_p, &mut self.candidates);
        temperature(p.temperature, &mut self.candidates);
        draw(&mut self.rng, &mut self.candidates).ok_or(masked)
    }

    /// Remembers `token` as part of the text, for the penalties.
    pub fn accept(&mut self, token: u32) {
        self.penalties.accept(token);
    }

    /// Forgets what was accepted and remembers `history` instead.
    pub fn restart(&mut self, history: &[u32]) {
        self.penalties.restart(history);
    }

    /// The seed in use; a run with it in [`Params::seed`] repeats this one.
    pub fn seed(&self) -> u32 {
        self.seed
    }
}

fn check(logits: &[f32]) -> Result<(), SampleError> {
    if logits.is_empty() {
        return Err(SampleError::Empty);
    }
    let broken = |x: f32| x.is_nan() || x == f32::INFINITY;
    // Without an early exit the common, clean case vectorises.
    if logits.iter().fold(false, |any, &x| any | broken(x)) {
        let first = (0u32..).zip(logits).find(|(_, x)| broken(**x));
        let (token, value) = first.map_or((0, f32::NAN), |(token, x)| (token, *x));
        return Err(SampleError::Invalid { token, value: value.to_string() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn params(temperature: f32) -> Params {
        Params { temperature, seed: Some(11), ..Params::default() }
    }

    fn run(params: Params, n: usize) -> Vec<u32> {
        let mut sampler = Sampler::new(params);
        let logits: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin() * 4.0).collect();
        let mut next = || {
            let token = sampler.sample(&mut logits.clone()).expect("finite logits");
            sampler.accept(token);
            token
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn equal_seeds_repeat_and_others_differ() {
        assert_eq!(run(params(1.0), 50), run(params(1.0), 50));
        assert_ne!(run(params(1.0), 50), run(Params { seed: Some(12), ..params(1.0) }, 50));
    }

    #[test]
    fn a_fresh_seed_can_be_read_back() {
        let mut first = Sampler::new(Params::default());
        let mut again = Sampler::new(Params { seed: Some(first.seed()), ..Params::default() });
        for _ in 0..20 {
            let mut logits = [0.0f32; 30];
            assert_eq!(first.sample(&mut logits), again.sample(&mut logits));
        }
    }

    #[test]
    fn no_temperature_is_greedy_after_penalties() {
        let mut sampler = Sampler::new(Params { presence_penalty: 2.0, ..params(0.0) });
        assert_eq!(sampler.sample(&mut [1.0, 3.0, 2.0, 3.0]), Ok(1));
        sampler.accept(1);
        assert_eq!(sampler.sample(&mut [1.0, 3.0, 2.0, 3.0]), Ok(3));
    }

    #[test]
    fn steps_run_in_order() {
        // top_k leaves 0 and 1 with shares 0.6 and 0.4 of the rest, so top_p 0.55
        // leaves only token 0; over all four its share is 0.3 and two would stay.
        let probs = [0.3f32, 0.2, 0.25 - 0.06, 0.19];
        let p = Params { top_k: 2, top_p: 0.55, min_p: 0.0, ..params(1.0) };
        let mut sampler = Sampler::new(p);
        for _ in 0..100 {
            assert_eq!(sampler.sample(&mut probs.map(f32::ln)), Ok(0));
        }
    }

    #[test]
    fn broken_logits_are_errors() {
        let mut sampler = Sampler::new(params(1.0));
        assert_eq!(sampler.sample(&mut []), Err(SampleError::Empty));
        let nan = SampleError::Invalid { token: 1, value: "NaN".into() };
        assert_eq!(sampler.sample(&mut [0.0, f32::NAN]), Err(nan));
        let inf = SampleError::Invalid { token: 0, value: "inf".into() };
        assert_eq!(sampler.sample(&mut [f32::INFINITY, 0.0]), Err(inf));
        for t in [0.0, 1.0] {
            let masked = Sampler::new(params(t)).sample(&mut [f32::NEG_INFINITY; 5]);
            assert_eq!(masked, Err(SampleError::AllMasked(5)));
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_never_picks_a_forbidden_token(
            logits in prop::collection::vec(any::<f32>(), 0..50),
            temperature in any::<f32>(),
            top_k in 0usize..60,
            top_p in any::<f32>(),
            min_p in any::<f32>(),
            repeat_penalty in any::<f32>(),
        ) {
            let p = Params { temperature, top_k, top_p, min_p, repeat_penalty, ..params(1.0) };
            let mut sampler = Sampler::new(p);
            for _ in 0..3 {
                if let Ok(token) = sampler.sample(&mut logits.clone()) {
                    prop_assert!(logits[token as usize] > f32::NEG_INFINITY);
                    sampler.accept(token);
                }
            }
        }
    }
}

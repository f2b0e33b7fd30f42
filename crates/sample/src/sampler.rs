use std::collections::HashMap;
use std::sync::Arc;

use crate::candidates::{Candidates, Space};
use crate::chain::Chain;
use crate::probabilities::Probabilities;
use crate::rng::{Rng, fresh_seed};
use crate::{Params, SampleError, Vocabulary};

/// Chooses tokens for one sequence, remembering what it accepted.
#[derive(Clone)]
pub struct Sampler {
    seed: u32,
    rng: Rng,
    biases: HashMap<u32, f32>,
    chain: Chain,
    n_probs: usize,
    post_sampling: bool,
    probabilities: Option<Probabilities>,
    /// Room to work in.
    space: Space,
    model_logits: Vec<f32>,
}

impl Sampler {
    /// A sampler with no history for a model of this vocabulary.
    ///
    /// # Errors
    /// [`SampleError::Param`] when a parameter is not to be computed with.
    pub fn new(params: &Params, vocabulary: &Arc<dyn Vocabulary>) -> Result<Self, SampleError> {
        params.check()?;
        let seed = params.seed.unwrap_or_else(fresh_seed);
        Ok(Self {
            seed,
            rng: Rng::new(seed),
            biases: biases(params, &**vocabulary),
            chain: Chain::new(params, vocabulary),
            n_probs: params.n_probs,
            post_sampling: params.post_sampling_probs,
            probabilities: None,
            space: Space::default(),
            model_logits: Vec::new(),
        })
    }

    /// Chooses a token from `logits`, one per vocabulary token; -inf forbids a token.
    ///
    /// `allowed` is what a grammar allows: bit `t % 32` of word `t / 32` allows token `t`, tokens
    /// past its end are forbidden. It is applied before everything else, so that the samplers see
    /// only tokens that may come, and the choice has exactly the distribution of the chain over
    /// these. (llama.cpp first chooses without the grammar, and again with it where that token is
    /// refused. That is exact too as long as no sampler drops tokens; as most do, it is not with
    /// them, and the grammar's masks here are too fast for it to pay.)
    ///
    /// `logits` are of no use after: they are worked in. The token is not remembered until it is passed
    /// to [`Sampler::accept`].
    ///
    /// # Errors
    /// [`SampleError`] when there are no logits, one is NaN or +inf, or no token is allowed.
    pub fn sample(
        &mut self,
        logits: &mut [f32],
        allowed: Option<&[u32]>,
    ) -> Result<u32, SampleError> {
        check(logits)?;
        let report_model = self.n_probs > 0 && !self.post_sampling;
        if report_model {
            self.model_logits.clear();
            self.model_logits.extend_from_slice(logits);
        }
        let n_vocab = logits.len();
        if let Some(allowed) = allowed {
            forbid(logits, allowed);
        }
        let mut candidates = Candidates::new(logits, &mut self.space);
        candidates.change(&self.biases, |logit, bias| *logit += bias);
        let chosen = self.chain.choose(&mut self.rng, &mut candidates);
        let token = chosen.ok_or(SampleError::AllMasked(n_vocab))?;
        self.probabilities = if report_model {
            Some(Probabilities::of_logits(&mut self.model_logits, self.n_probs, token))
        } else {
            let n = self.n_probs;
            (n > 0).then(|| Probabilities::of_candidates(&candidates, n, token))
        };
        Ok(token)
    }

    /// How probable the last choice was; `None` before the first, or where
    /// [`Params::n_probs`] asks for none.
    pub fn probabilities(&self) -> Option<&Probabilities> {
        self.probabilities.as_ref()
    }

    /// Remembers `token` as part of the text, for the penalties.
    pub fn accept(&mut self, token: u32) {
        self.chain.accept(token);
    }

    /// Forgets what was accepted and remembers `history` instead.
    pub fn restart(&mut self, history: &[u32]) {
        self.chain.restart(history);
    }

    /// The seed in use; a run with it in [`Params::seed`] repeats this one.
    pub fn seed(&self) -> u32 {
        self.seed
    }
}

/// What is added to logits: biases of the same token add up, as in llama.cpp.
fn biases(params: &Params, vocabulary: &dyn Vocabulary) -> HashMap<u32, f32> {
    let mut biases = HashMap::new();
    for &(token, bias) in &params.logit_bias {
        *biases.entry(token).or_insert(0.0) += bias;
    }
    let ends = if params.ignore_eos { vocabulary.end_tokens() } else { &[] };
    let forbidden = vocabulary.suppressed().iter().chain(ends);
    biases.extend(forbidden.map(|token| (*token, f32::NEG_INFINITY)));
    biases
}

fn forbid(logits: &mut [f32], allowed: &[u32]) {
    let covered = logits.len().min(allowed.len() * 32);
    let (covered, rest) = logits.split_at_mut(covered);
    rest.fill(f32::NEG_INFINITY);
    for (logits, word) in covered.chunks_mut(32).zip(allowed) {
        match *word {
            0 => logits.fill(f32::NEG_INFINITY),
            u32::MAX => {}
            word => {
                for (bit, logit) in logits.iter_mut().enumerate() {
                    if word >> bit & 1 == 0 {
                        *logit = f32::NEG_INFINITY;
                    }
                }
            }
        }
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
mod tests;

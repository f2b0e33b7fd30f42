use crate::candidates::{Candidate, Candidates, Space};
use crate::exp::sum_exp;
use crate::greedy::highest;

/// How probable a choice was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Probabilities {
    /// The token chosen.
    pub chosen: TokenProbability,
    /// The likeliest tokens, likeliest first; none of probability 0.
    pub top: Vec<TokenProbability>,
}

/// A token and its probability.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TokenProbability {
    /// The token.
    pub token: u32,
    /// Its probability, 0 to 1.
    pub probability: f32,
    /// Natural logarithm of the probability: -inf for 0.
    pub log_probability: f32,
}

impl Probabilities {
    /// Those of softmax(`logits`): of `chosen` and of the `n` likeliest.
    pub(crate) fn of_logits(logits: &mut [f32], n: usize, chosen: u32) -> Self {
        let chosen_logit = logits.get(chosen as usize).copied().unwrap_or(f32::NEG_INFINITY);
        let max = highest(logits);
        let sum = sum_exp(logits, max).ln();
        let mut space = Space::default();
        let mut candidates = Candidates::new(logits, &mut space);
        let log_sum = f64::from(max) + sum;
        let probability = |token, logit: f32| {
            let log = f64::from(logit) - log_sum;
            let (probability, log_probability) = (log.exp() as f32, log as f32);
            TokenProbability { token, probability, log_probability }
        };
        let top = candidates.top(n);
        Self {
            chosen: probability(chosen, chosen_logit),
            top: top.iter().map(|c| probability(c.token, c.logit)).collect(),
        }
    }

    /// Those of candidates after the samplers.
    pub(crate) fn of_candidates(candidates: &Candidates, n: usize, chosen: u32) -> Self {
        let probability = |c: &Candidate| TokenProbability {
            token: c.token,
            probability: c.p,
            log_probability: c.p.ln(),
        };
        let mut ranked: Vec<Candidate> = candidates.iter().filter(|c| c.p > 0.0).collect();
        ranked.sort_by(|a, b| b.p.total_cmp(&a.p).then(a.token.cmp(&b.token)));
        let found = ranked.iter().find(|c| c.token == chosen);
        Self {
            chosen: found.map(probability).unwrap_or_default(),
            top: ranked.iter().take(n).map(probability).collect(),
        }
    }
}

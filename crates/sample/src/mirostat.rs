use crate::Params;
use crate::candidates::{Candidate, Candidates};
use crate::rng::Rng;

/// Mirostat (Basu et al. 2020, arXiv 2007.14966) keeps the surprise of the text near `tau` bits a
/// token. From the 100 likeliest tokens it estimates the exponent of Zipf's law,
///
/// `s = Σ t_i · b_i / Σ t_i²`, `t_i = ln((i + 1) / i)`, `b_i = ln(p_i / p_(i+1))`,
///
/// draws among the `k = (ε · 2^mu / (1 - N^-ε))^(1/s)` likeliest, `ε = s - 1`, `N` the size of the
/// vocabulary, and corrects `mu` by `eta` times the surprise that was too much.
#[derive(Debug, Clone)]
pub(crate) struct MirostatV1 {
    tau: f32,
    eta: f32,
    mu: f32,
}

/// Tokens from which the exponent is estimated.
const M: usize = 100;

impl MirostatV1 {
    pub(crate) fn new(params: &Params) -> Self {
        let (tau, eta) = (params.mirostat_tau, params.mirostat_eta);
        Self { tau, eta, mu: 2.0 * tau }
    }

    pub(crate) fn restart(&mut self) {
        self.mu = 2.0 * self.tau;
    }

    pub(crate) fn choose(&mut self, rng: &mut Rng, candidates: &mut Candidates) -> Option<u32> {
        let exponent = estimated_exponent(&candidates.top(M));
        let k = cutoff(exponent, self.mu, candidates.n_vocab());
        candidates.keep_top(k);
        candidates.softmax();
        learn(&mut self.mu, self.tau, self.eta, rng, candidates)
    }
}

fn estimated_exponent(likeliest: &[Candidate]) -> f32 {
    let (mut tb, mut tt) = (0.0, 0.0);
    for (i, pair) in likeliest.windows(2).enumerate() {
        let t = ((i + 2) as f32 / (i + 1) as f32).ln();
        tb += t * (pair[0].logit - pair[1].logit);
        tt += t * t;
    }
    tb / tt
}

fn cutoff(s: f32, mu: f32, n_vocab: usize) -> usize {
    let epsilon = s - 1.0;
    let k = (epsilon * mu.exp2() / (1.0 - (n_vocab as f32).powf(-epsilon))).powf(s.recip());
    // What is no number or has no end becomes 0 or the largest number.
    (k as usize).max(1)
}

/// Draws a token and corrects `mu` by its surprise.
pub(crate) fn learn(
    mu: &mut f32,
    tau: f32,
    eta: f32,
    rng: &mut Rng,
    candidates: &mut Candidates,
) -> Option<u32> {
    let chosen = candidates.at(candidates.draw(rng)?);
    *mu -= eta * (-chosen.p.log2() - tau);
    Some(chosen.token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::testing::after;

    #[test]
    fn keeps_as_many_tokens_as_the_formula_says() {
        // 200 tokens that follow Zipf's law with exponent 1.3: the estimate is exact.
        let logits: Vec<f32> = (1..=200).map(|i| -1.3 * (i as f32).ln()).collect();
        let params = Params { mirostat_tau: 2.0, ..Params::default() };
        let mut mirostat = MirostatV1::new(&params);
        let items = after(&logits, |c| {
            mirostat.choose(&mut Rng::new(2), c);
        });
        let k = (0.3 * 4f64.exp2() / (1.0 - 200f64.powf(-0.3))).powf(1.0 / 1.3);
        assert_eq!(items.len(), k as usize);
    }

    #[test]
    fn mu_follows_the_surprise() {
        let logits: Vec<f32> = (1..=200).map(|i| -1.3 * (i as f32).ln()).collect();
        let params = Params { mirostat_tau: 2.0, mirostat_eta: 0.25, ..Params::default() };
        let mut mirostat = MirostatV1::new(&params);
        let mut token = None;
        let items = after(&logits, |c| token = mirostat.choose(&mut Rng::new(2), c));
        let chosen = items.iter().find(|c| Some(c.token) == token).expect("a token");
        let expected = 4.0 - 0.25 * (-chosen.p.log2() - 2.0);
        assert!((mirostat.mu - expected).abs() < 1e-6);
        mirostat.restart();
        assert_eq!(mirostat.mu, 4.0);
    }

    #[test]
    fn one_candidate_is_chosen() {
        let mut mirostat = MirostatV1::new(&Params::default());
        let mut token = None;
        after(&[f32::NEG_INFINITY, 3.0], |c| token = mirostat.choose(&mut Rng::new(1), c));
        assert_eq!(token, Some(1));
    }
}

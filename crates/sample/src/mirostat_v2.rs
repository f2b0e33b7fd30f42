use crate::Params;
use crate::candidates::Candidates;
use crate::mirostat::learn;
use crate::rng::Rng;

/// Mirostat's second version (Basu et al. 2020, arXiv 2007.14966, algorithm 2): keeps tokens of a
/// surprise `-log2(p_i)` of at most `mu`, but one at least, draws among them, and corrects `mu` by
/// `eta` times the surprise that exceeded `tau`.
#[derive(Debug, Clone)]
pub(crate) struct MirostatV2 {
    tau: f32,
    eta: f32,
    mu: f32,
}

impl MirostatV2 {
    pub(crate) fn new(params: &Params) -> Self {
        let (tau, eta) = (params.mirostat_tau, params.mirostat_eta);
        Self { tau, eta, mu: 2.0 * tau }
    }

    pub(crate) fn restart(&mut self) {
        self.mu = 2.0 * self.tau;
    }

    pub(crate) fn choose(&mut self, rng: &mut Rng, candidates: &mut Candidates) -> Option<u32> {
        let (max, log_sum) = candidates.softmax();
        let least = max + log_sum - self.mu * std::f32::consts::LN_2;
        if least <= max {
            candidates.keep_from(least);
        } else {
            candidates.keep_best();
        }
        candidates.softmax();
        learn(&mut self.mu, self.tau, self.eta, rng, candidates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::testing::{after, logits_of};

    #[test]
    fn keeps_tokens_of_little_surprise_and_learns() {
        let probs = [0.5f64, 0.25, 0.15, 0.1];
        for (tau, kept) in [(0.4, 1), (0.6, 1), (1.01, 2), (1.4, 3), (2.0, 4)] {
            let params = Params { mirostat_tau: tau, mirostat_eta: 0.5, ..Params::default() };
            let mut mirostat = MirostatV2::new(&params);
            let mut token = None;
            let items = after(&logits_of(&probs), |c| token = mirostat.choose(&mut Rng::new(9), c));
            assert_eq!(items.len(), kept, "tau = {tau}");
            let rest: f64 = probs[..kept].iter().sum();
            let p = probs[token.expect("a token") as usize] / rest;
            let expected = 2.0 * f64::from(tau) - 0.5 * (-p.log2() - f64::from(tau));
            assert!((f64::from(mirostat.mu) - expected).abs() < 1e-5);
        }
    }
}

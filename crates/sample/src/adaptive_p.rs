use crate::Params;
use crate::candidates::Candidates;
use crate::rng::Rng;

/// Draws tokens about a target probability (MrJackSpade and ddh0 2025, llama.cpp pull request
/// 17927). The logits become
///
/// `5 - 10 · d² / (1 + d)`, `d = |p_i - t| / 0.3`,
///
/// with the target `t = clamp(2 · target - average, 0, 1)`, where `average` is that of the
/// probabilities of the tokens accepted, the older ones fading by `decay` for each token.
#[derive(Debug, Clone)]
pub(crate) struct AdaptiveP {
    target: f32,
    decay: f32,
    weighted_sum: f32,
    total_weight: f32,
    /// The token drawn last and the probability that it had.
    drawn: Option<(u32, f32)>,
}

impl AdaptiveP {
    pub(crate) fn new(params: &Params) -> Self {
        let mut adaptive = Self {
            target: params.adaptive_target,
            decay: params.adaptive_decay.clamp(0.0, 0.99),
            weighted_sum: 0.0,
            total_weight: 0.0,
            drawn: None,
        };
        adaptive.restart();
        adaptive
    }

    /// Forgets the tokens accepted: as if they had always hit the target.
    pub(crate) fn restart(&mut self) {
        self.total_weight = 1.0 / (1.0 - self.decay);
        self.weighted_sum = self.target * self.total_weight;
        self.drawn = None;
    }

    pub(crate) fn accept(&mut self, token: u32) {
        if let Some((_, p)) = self.drawn.take().filter(|(drawn, _)| *drawn == token) {
            self.weighted_sum = p + self.decay * self.weighted_sum;
            self.total_weight = 1.0 + self.decay * self.total_weight;
        }
    }

    pub(crate) fn choose(&mut self, rng: &mut Rng, candidates: &mut Candidates) -> Option<u32> {
        candidates.softmax();
        if self.target < 0.0 {
            return candidates.draw(rng).map(|at| candidates.at(at).token);
        }
        let target = self.adapted_target();
        let before = candidates.probabilities().to_vec();
        candidates.remake(|p| {
            let d = ((p - target) / 0.3).abs();
            5.0 - 10.0 * d * d / (1.0 + d)
        });
        candidates.softmax();
        let at = candidates.draw(rng)?;
        let token = candidates.at(at).token;
        self.drawn = Some((token, before[at]));
        Some(token)
    }

    fn adapted_target(&self) -> f32 {
        let target = self.target.clamp(0.0, 1.0);
        (2.0 * target - self.weighted_sum / self.total_weight).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::testing::{after, logits_of};

    fn adaptive(target: f32) -> AdaptiveP {
        AdaptiveP::new(&Params {
            adaptive_target: target,
            adaptive_decay: 0.5,
            ..Params::default()
        })
    }

    #[test]
    fn probabilities_follow_the_formula() {
        let probs = [0.5f64, 0.3, 0.15, 0.05];
        let weight = |p: f64, t: f64| {
            let d = ((p - t) / 0.3).abs();
            (5.0 - 10.0 * d * d / (1.0 + d)).exp()
        };
        let mut sampler = adaptive(0.3);
        let mut rng = Rng::new(4);
        // The average of an infinite past that hit the target, then of each choice.
        let mut average = (0.3f64 * 2.0, 2.0);
        for _ in 0..5 {
            let t = (2.0 * 0.3 - average.0 / average.1).clamp(0.0, 1.0);
            let sum: f64 = probs.iter().map(|p| weight(*p, t)).sum();
            let mut token = None;
            let items = after(&logits_of(&probs), |c| token = sampler.choose(&mut rng, c));
            for c in items {
                let expected = weight(probs[c.token as usize], t) / sum;
                assert!((f64::from(c.p) - expected).abs() < 1e-5, "{c:?} {expected}");
            }
            let token = token.expect("four candidates");
            sampler.accept(token);
            average = (probs[token as usize] + 0.5 * average.0, 1.0 + 0.5 * average.1);
        }
    }

    #[test]
    fn below_zero_it_only_draws_and_other_tokens_teach_nothing() {
        let mut sampler = adaptive(-1.0);
        let items = after(&logits_of(&[0.7, 0.3]), |c| {
            sampler.choose(&mut Rng::new(1), c);
        });
        assert!((items[0].p - 0.7).abs() < 1e-6);
        let mut sampler = adaptive(0.4);
        after(&logits_of(&[0.7, 0.3]), |c| {
            sampler.choose(&mut Rng::new(1), c);
        });
        sampler.accept(77);
        assert_eq!(sampler.adapted_target(), adaptive(0.4).adapted_target());
    }
}

use crate::candidates::Candidate;
use crate::rng::Rng;

/// Draws the place of one candidate with its probability `p`; these sum to 1. `None` without
/// candidates.
pub(crate) fn draw(rng: &mut Rng, candidates: &[Candidate]) -> Option<usize> {
    let mut left = rng.uniform();
    for (at, c) in candidates.iter().enumerate() {
        left -= f64::from(c.p);
        if left < 0.0 {
            return Some(at);
        }
    }
    // Rounding may leave a crumb of probability: it goes to the last likely token.
    candidates.iter().rposition(|c| c.p > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::testing::{after, logits_of};

    #[test]
    fn frequencies_follow_the_probabilities() {
        let probs = [0.4f64, 0.3, 0.2, 0.1];
        let items = after(&logits_of(&probs), |c| {
            c.softmax();
        });
        let mut rng = Rng::new(3);
        let n = 100_000;
        let mut counts = [0u32; 4];
        for _ in 0..n {
            counts[draw(&mut rng, &items).expect("four candidates")] += 1;
        }
        for (count, p) in counts.into_iter().zip(probs) {
            let sigma = (f64::from(n) * p * (1.0 - p)).sqrt();
            assert!((f64::from(count) - f64::from(n) * p).abs() < 5.0 * sigma, "{counts:?}");
        }
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert_eq!(draw(&mut Rng::new(1), &[]), None);
    }
}

use crate::candidates::{Candidate, Candidates};
use crate::rng::Rng;

/// Exclude top choices (p-e-w 2024, text-generation-webui pull request 6335):
/// with this `probability`, takes away all tokens of at least `threshold` but
/// the least likely of them, unless fewer than `min_keep` would be left.
pub(crate) fn xtc(
    probability: f32,
    threshold: f32,
    min_keep: usize,
    rng: &mut Rng,
    candidates: &mut Candidates,
) {
    let n = candidates.count();
    if n < 2 || rng.uniform() > f64::from(probability) {
        return;
    }
    candidates.softmax();
    let excess = candidates.count_likely(threshold).saturating_sub(1);
    if excess > 0 && n - excess >= min_keep {
        let likely = |c: &Candidate| c.p >= threshold;
        let least = candidates.iter().filter(likely).max_by(Candidate::by_rank);
        candidates.drop(|c| likely(c) && Some(c.token) != least.map(|c| c.token));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::testing::{left, logits_of};

    fn kept(probability: f32, threshold: f32, min_keep: usize) -> Vec<u32> {
        let logits = logits_of(&[0.1, 0.4, 0.2, 0.3]);
        left(&logits, |c| xtc(probability, threshold, min_keep, &mut Rng::new(1), c))
    }

    #[test]
    fn leaves_only_the_least_of_the_likely_tokens() {
        assert_eq!(kept(1.0, 0.35, 0), [1, 3, 2, 0]);
        assert_eq!(kept(1.0, 0.25, 0), [3, 2, 0]);
        assert_eq!(kept(1.0, 0.15, 0), [2, 0]);
        assert_eq!(kept(1.0, 0.05, 0), [0]);
        assert_eq!(kept(1.0, 0.15, 3), [1, 3, 2, 0]);
    }

    #[test]
    fn acts_as_often_as_its_probability_says() {
        let logits = logits_of(&[0.5, 0.5]);
        let mut rng = Rng::new(5);
        let n = 10_000;
        let acted = (0..n).filter(|_| left(&logits, |c| xtc(0.3, 0.1, 0, &mut rng, c)).len() == 1);
        let sigma = (f64::from(n) * 0.3 * 0.7).sqrt();
        assert!((acted.count() as f64 - f64::from(n) * 0.3).abs() < 5.0 * sigma);
    }
}

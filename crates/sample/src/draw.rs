use crate::candidates::Candidates;
use crate::rng::Rng;

/// Draws one token with probability softmax(logits); `None` without candidates.
pub(crate) fn draw(rng: &mut Rng, candidates: &mut Candidates) -> Option<u32> {
    candidates.softmax();
    let mut left = rng.uniform();
    for (c, &p) in candidates.items.iter().zip(&candidates.probs) {
        left -= f64::from(p);
        if left < 0.0 {
            return Some(c.token);
        }
    }
    // Rounding may leave a crumb of probability: it goes to the last likely token.
    let likely = candidates.items.iter().zip(&candidates.probs).rev().find(|(_, p)| **p > 0.0);
    likely.map(|(c, _)| c.token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::candidates;

    #[test]
    fn frequencies_follow_the_probabilities() {
        let probs = [0.1f64, 0.4, 0.2, 0.3];
        let mut c = candidates(&probs.map(|p| p.ln() as f32));
        let mut rng = Rng::new(3);
        let n = 100_000;
        let mut counts = [0u32; 4];
        for _ in 0..n {
            counts[draw(&mut rng, &mut c).expect("four candidates") as usize] += 1;
        }
        for (count, p) in counts.into_iter().zip(probs) {
            let sigma = (f64::from(n) * p * (1.0 - p)).sqrt();
            assert!((f64::from(count) - f64::from(n) * p).abs() < 5.0 * sigma, "{counts:?}");
        }
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert_eq!(draw(&mut Rng::new(1), &mut Candidates::default()), None);
    }
}

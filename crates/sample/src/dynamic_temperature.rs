use crate::candidates::Candidates;
use crate::temperature::temperature;

/// Temperature that follows the entropy `H = -Σ p_i · ln(p_i)` of the `n` candidates:
///
/// `t = low + (high - low) · (H / ln n)^exponent`, `low = max(0, base - range)`,
/// `high = base + range`
///
/// (entropy-based dynamic temperature, kalomaze 2023, llama.cpp pull request 4972). One candidate
/// alone is left as it is. `range` must be above 0.
pub(crate) fn dynamic_temperature(
    base: f32,
    range: f32,
    exponent: f32,
    candidates: &mut Candidates,
) {
    let n = candidates.count();
    if n <= 1 {
        return;
    }
    let sums = candidates.softmax();
    let entropy = candidates.entropy(sums);
    // Rounding may make the entropy of a certain token slightly negative.
    let share = (entropy / (n as f32).ln()).clamp(0.0, 1.0);
    let low = (base - range).max(0.0);
    let high = base + range;
    temperature(low + (high - low) * share.powf(exponent), candidates);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::testing::{after, left, logits_of};

    #[test]
    fn follows_the_formula() {
        let probs = [0.6f64, 0.25, 0.1, 0.05];
        let entropy: f64 = probs.iter().map(|p| -p * p.ln()).sum();
        for (base, range, exponent) in [(1.0f64, 0.5f64, 1.0f64), (0.4, 0.6, 2.0)] {
            let low = (base - range).max(0.0);
            let t = low + (base + range - low) * (entropy / 4f64.ln()).powf(exponent);
            let sum: f64 = probs.iter().map(|p| p.powf(1.0 / t)).sum();
            let items = after(&logits_of(&probs), |c| {
                dynamic_temperature(base as f32, range as f32, exponent as f32, c);
                c.softmax();
            });
            for (got, p) in items.iter().zip(probs) {
                assert!((f64::from(got.p) - p.powf(1.0 / t) / sum).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn certainty_at_low_zero_is_greedy() {
        assert_eq!(left(&[500.0, 0.0], |c| dynamic_temperature(0.5, 0.5, 1.0, c)), [0]);
        assert_eq!(left(&[1.0], |c| dynamic_temperature(0.0, 0.5, 1.0, c)), [0]);
    }
}

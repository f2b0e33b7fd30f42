use crate::candidates::Candidates;

/// Divides every logit by `temperature`; zero or less keeps only the likeliest token.
pub(crate) fn temperature(temperature: f32, candidates: &mut Candidates) {
    if temperature <= 0.0 {
        candidates.keep_best();
    } else if temperature != 1.0 {
        let max = candidates.max();
        // Only differences matter; taken from the maximum, none can overflow to +inf.
        candidates.change_all(|logit| (logit - max) / temperature);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::testing::{after, left, logits_of};

    #[test]
    fn raises_probabilities_to_the_power_of_one_over_t() {
        let probs = [0.4f64, 0.3, 0.2, 0.1];
        for t in [0.5f64, 1.0, 2.0] {
            let items = after(&logits_of(&probs), |c| {
                temperature(t as f32, c);
                c.softmax();
            });
            let sum: f64 = probs.iter().map(|p| p.powf(1.0 / t)).sum();
            for (got, p) in items.iter().zip(probs) {
                assert!((f64::from(got.p) - p.powf(1.0 / t) / sum).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn tiny_temperatures_do_not_overflow() {
        let items = after(&[1.0, 2.0, 3.0e38], |c| {
            temperature(f32::MIN_POSITIVE, c);
            c.softmax();
        });
        let best = items.iter().max_by(|a, b| a.p.total_cmp(&b.p)).map(|c| (c.token, c.p));
        assert_eq!(best, Some((2, 1.0)));
    }

    #[test]
    fn zero_keeps_the_likeliest() {
        assert_eq!(left(&[1.0, 3.0, 3.0], |c| temperature(0.0, c)), [1]);
        let listed = |c: &mut Candidates| {
            c.keep_top(3);
            temperature(-1.0, c);
        };
        assert_eq!(left(&[1.0, 3.0, 3.0], listed), [1]);
    }
}

use crate::candidates::Candidates;

/// Divides every logit by `temperature`, which must be above zero.
pub(crate) fn temperature(temperature: f32, candidates: &mut Candidates) {
    let max = candidates.max();
    for c in &mut candidates.items {
        // Only differences matter; taken from the maximum, none can overflow to +inf.
        c.logit = (c.logit - max) / temperature;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::candidates;

    #[test]
    fn raises_probabilities_to_the_power_of_one_over_t() {
        let probs = [0.1f64, 0.4, 0.2, 0.3];
        for t in [0.5f64, 1.0, 2.0] {
            let mut c = candidates(&probs.map(|p| p.ln() as f32));
            temperature(t as f32, &mut c);
            c.softmax();
            let sum: f64 = probs.iter().map(|p| p.powf(1.0 / t)).sum();
            for (got, p) in c.probs.iter().zip(probs) {
                assert!((f64::from(*got) - p.powf(1.0 / t) / sum).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn tiny_temperatures_do_not_overflow() {
        let mut c = candidates(&[1.0, 2.0, 3.0e38]);
        temperature(f32::MIN_POSITIVE, &mut c);
        c.softmax();
        assert_eq!(c.probs, [0.0, 0.0, 1.0]);
    }
}

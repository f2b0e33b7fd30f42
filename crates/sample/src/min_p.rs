use crate::candidates::Candidates;

/// Keeps tokens whose probability is at least `p` times the highest, that is
/// `logit >= max + ln(p)`; at least one is kept.
pub(crate) fn min_p(p: f32, candidates: &mut Candidates) {
    if p <= 0.0 {
        return;
    }
    let max = candidates.max();
    let least = max + p.min(1.0).ln();
    candidates.items.retain(|c| c.logit >= least);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::candidates;

    #[test]
    fn keeps_probabilities_above_the_share_of_the_highest() {
        // Probabilities 0.1, 0.4, 0.2, 0.3: relative to the highest 0.25, 1, 0.5, 0.75.
        let example = [0.1f32.ln(), 0.4f32.ln(), 0.2f32.ln(), 0.3f32.ln()];
        for (p, expected) in [
            (0.0, vec![0, 1, 2, 3]),
            (0.2, vec![0, 1, 2, 3]),
            (0.3, vec![1, 2, 3]),
            (0.6, vec![1, 3]),
            (1.0, vec![1]),
            (7.0, vec![1]),
        ] {
            let mut c = candidates(&example);
            min_p(p, &mut c);
            assert_eq!(c.tokens(), expected, "p = {p}");
        }
    }
}

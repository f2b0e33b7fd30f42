use crate::candidates::Candidates;

/// Keeps tokens whose probability is at least `p` times the highest, that is
/// `logit >= max + ln(p)` (Nguyen et al. 2024, arXiv 2407.01082), and the
/// `min_keep` likeliest at least; `p` must be above 0.
pub(crate) fn min_p(p: f32, min_keep: usize, candidates: &mut Candidates) {
    let least = candidates.max() + p.min(1.0).ln();
    let enough = candidates.count_from(least) >= min_keep;
    if enough {
        candidates.keep_from(least);
    } else {
        candidates.keep_top(min_keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::testing::{left, logits_of};

    #[test]
    fn keeps_probabilities_above_the_share_of_the_highest() {
        // Relative to the highest: 0.25, 1, 0.5, 0.75.
        let logits = logits_of(&[0.1, 0.4, 0.2, 0.3]);
        for (p, min_keep, expected) in [
            (0.2, 0, vec![1, 3, 2, 0]),
            (0.3, 0, vec![1, 3, 2]),
            (0.6, 1, vec![1, 3]),
            (0.6, 3, vec![1, 3, 2]),
            (1.0, 0, vec![1]),
            (7.0, 0, vec![1]),
            (1.0, 99, vec![1, 3, 2, 0]),
        ] {
            assert_eq!(left(&logits, |c| min_p(p, min_keep, c)), expected, "p = {p}");
            let listed = left(&logits, |c| {
                c.keep_top(4);
                min_p(p, min_keep, c);
            });
            assert_eq!(listed, expected, "listed, p = {p}");
        }
    }
}

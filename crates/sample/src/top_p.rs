use crate::candidates::Candidates;

/// Keeps the shortest run of likeliest tokens whose probabilities sum to at
/// least `p` (nucleus sampling, Holtzman et al. 2019, arXiv 1904.09751), and
/// `min_keep` at least.
pub(crate) fn top_p(p: f32, min_keep: usize, candidates: &mut Candidates) {
    let (max, _) = candidates.softmax();
    candidates.keep_weight(p, min_keep, |logit| max - logit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::testing::{left, logits_of};

    #[test]
    fn keeps_the_shortest_prefix_that_reaches_p() {
        let logits = logits_of(&[0.1, 0.4, 0.2, 0.3]);
        for (p, min_keep, expected) in [
            (0.0, 0, vec![1]),
            (0.39, 0, vec![1]),
            (0.39, 3, vec![1, 3, 2]),
            (0.41, 0, vec![1, 3]),
            (0.69, 2, vec![1, 3]),
            (0.71, 0, vec![1, 3, 2]),
            (0.95, 9, vec![1, 3, 2, 0]),
        ] {
            assert_eq!(left(&logits, |c| top_p(p, min_keep, c)), expected, "p = {p}");
        }
    }

    #[test]
    fn of_equals_the_lower_tokens_stay() {
        let kept = left(&[1.0; 2000], |c| top_p(0.4, 0, c));
        assert!((799..=801).contains(&kept.len()), "{}", kept.len());
        assert!(kept.iter().copied().eq(0..kept.len() as u32));
    }
}

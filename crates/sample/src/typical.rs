use crate::candidates::Candidates;

/// Keeps the tokens whose information `-ln(p_i)` lies nearest the entropy
/// `H = -Σ p_i · ln(p_i)`, as many as it takes for their probabilities to
/// exceed `p` (locally typical sampling, Meister et al. 2022, arXiv
/// 2202.00666), and `min_keep` at least.
pub(crate) fn typical(p: f32, min_keep: usize, candidates: &mut Candidates) {
    let (max, log_sum) = candidates.softmax();
    let entropy = candidates.entropy((max, log_sum));
    candidates.keep_weight(p.next_up(), min_keep, |logit| (log_sum + max - logit - entropy).abs());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::testing::{left, logits_of};

    #[test]
    fn keeps_the_most_typical_tokens() {
        let probs = [0.5f64, 0.25, 0.15, 0.07, 0.03];
        let entropy: f64 = probs.iter().map(|p| -p * p.ln()).sum();
        let mut order: Vec<u32> = (0..5).collect();
        let distance = |t: &u32| (-probs[*t as usize].ln() - entropy).abs();
        order.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
        // The likeliest token is not the most typical one here.
        assert_eq!(order, [1, 0, 2, 3, 4]);
        for (p, min_keep, n) in [(0.2, 0, 1), (0.26, 0, 2), (0.2, 3, 3), (0.76, 0, 3), (0.99, 0, 5)]
        {
            let mut expected = order[..n].to_vec();
            expected.sort();
            let got = left(&logits_of(&probs), |c| typical(p, min_keep, c));
            assert_eq!(got, expected, "p = {p}, min_keep = {min_keep}");
        }
    }
}

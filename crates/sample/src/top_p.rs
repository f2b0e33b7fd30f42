use crate::candidates::Candidates;

/// Keeps the shortest run of likeliest tokens whose probabilities sum to at
/// least `p` (nucleus sampling, Holtzman et al. 2019); at least one is kept.
pub(crate) fn top_p(p: f32, candidates: &mut Candidates) {
    if p >= 1.0 || candidates.items.is_empty() {
        return;
    }
    let max = candidates.max();
    let total: f32 = candidates.items.iter().map(|c| (c.logit - max).exp()).sum();
    // The nucleus is usually tiny: rank a growing prefix, not the whole vocabulary.
    let mut ranked = 64;
    loop {
        candidates.rank_prefix(ranked);
        let mut sum = 0.0f32;
        let reached = candidates.items.iter().take(ranked).position(|c| {
            sum += (c.logit - max).exp() / total;
            sum >= p
        });
        if let Some(last) = reached {
            candidates.items.truncate(last + 1);
            candidates.sorted = true;
            return;
        }
        if candidates.sorted {
            return;
        }
        ranked *= 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::candidates;

    /// Tokens 0..4 with probabilities 0.1, 0.4, 0.2, 0.3.
    fn example() -> Candidates {
        candidates(&[0.1f32.ln(), 0.4f32.ln(), 0.2f32.ln(), 0.3f32.ln()])
    }

    #[test]
    fn keeps_the_shortest_prefix_that_reaches_p() {
        for (p, expected) in [
            (0.0, vec![1]),
            (0.39, vec![1]),
            (0.41, vec![1, 3]),
            (0.69, vec![1, 3]),
            (0.71, vec![1, 3, 2]),
            (0.95, vec![1, 3, 2, 0]),
        ] {
            let mut c = example();
            top_p(p, &mut c);
            assert_eq!(c.tokens(), expected, "p = {p}");
        }
    }

    #[test]
    fn large_sets_are_ranked_as_far_as_needed() {
        // 2000 equal tokens: p of them are needed, the lowest first.
        let mut c = candidates(&[1.0; 2000]);
        top_p(0.4, &mut c);
        assert!((799..=801).contains(&c.items.len()), "{}", c.items.len());
        assert!(c.tokens().into_iter().eq(0..c.items.len() as u32));
    }

    #[test]
    fn one_keeps_all_in_place() {
        let mut c = example();
        top_p(1.0, &mut c);
        assert_eq!(c.tokens(), [0, 1, 2, 3]);
    }
}

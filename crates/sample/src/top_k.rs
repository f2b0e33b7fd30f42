use crate::candidates::Candidates;

/// Keeps the `k` likeliest tokens (Fan et al. 2018, arXiv 1805.04833); `k` must be above 0.
pub(crate) fn top_k(k: usize, candidates: &mut Candidates) {
    candidates.keep_top(k);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::candidates::testing::left;

    proptest! {
        #[test]
        fn equals_a_full_sort(
            logits in prop::collection::vec(prop_oneof![-3i8..3, Just(i8::MIN)], 1..400),
            k in 1usize..420,
            listed in any::<bool>(),
        ) {
            let as_logit = |&x: &i8| if x == i8::MIN { f32::NEG_INFINITY } else { f32::from(x) };
            let logits: Vec<f32> = logits.iter().map(as_logit).collect();
            let mut expected: Vec<u32> = (0..logits.len() as u32)
                .filter(|&i| logits[i as usize] > f32::NEG_INFINITY)
                .collect();
            expected.sort_by(|&a, &b| {
                logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b))
            });
            expected.truncate(k);
            let got = left(&logits, |c| {
                if listed {
                    c.keep_top(logits.len());
                }
                top_k(k, c);
            });
            prop_assert_eq!(got, expected);
        }
    }
}

use crate::candidates::{Candidate, Candidates};

/// Keeps the `k` likeliest of `logits` in rank order; `k` 0 keeps all, unsorted.
///
/// One pass with a rising threshold: almost every logit of a large vocabulary
/// is turned away by one comparison, and nothing is sorted but the survivors.
pub(crate) fn top_k(k: usize, logits: &[f32], out: &mut Candidates) {
    if k == 0 || k >= logits.len() {
        out.fill(logits);
        if k != 0 {
            out.sort();
        }
        return;
    }
    let items = &mut out.items;
    items.clear();
    let room = k.saturating_mul(2).max(64);
    let mut threshold = f32::NEG_INFINITY;
    for (token, &logit) in (0u32..).zip(logits) {
        // An equal logit of a later token ranks below the k already held.
        if logit > threshold {
            items.push(Candidate { token, logit });
            if items.len() == room {
                keep_best(items, k);
                threshold = items[k - 1].logit;
            }
        }
    }
    keep_best(items, k);
    out.sorted = false;
    out.sort();
}

/// Leaves the `k` best items, the worst of them last.
fn keep_best(items: &mut Vec<Candidate>, k: usize) {
    if items.len() > k {
        items.select_nth_unstable_by(k - 1, Candidate::by_rank);
        items.truncate(k);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_a_full_sort(
            logits in prop::collection::vec(prop_oneof![-3i8..3, Just(i8::MIN)], 1..400),
            k in 0usize..420,
        ) {
            let as_logit = |&x: &i8| if x == i8::MIN { f32::NEG_INFINITY } else { f32::from(x) };
            let logits: Vec<f32> = logits.iter().map(as_logit).collect();
            let mut expected: Vec<u32> = (0..logits.len() as u32)
                .filter(|&i| logits[i as usize] > f32::NEG_INFINITY)
                .collect();
            if k > 0 {
                expected.sort_by(|&a, &b| {
                    logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b))
                });
                expected.truncate(k);
            }
            let mut out = Candidates::default();
            top_k(k, &logits, &mut out);
            prop_assert_eq!(out.tokens(), expected);
        }
    }
}

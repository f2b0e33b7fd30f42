//! The choice of the highest scores.

/// Chooses the `k` highest of some scores, with room to work in.
///
/// Which of equal scores at the limit are chosen follows llama.cpp, where it is what
/// `std::partial_sort` of GCC's library leaves: rectified scores are often exactly 0. It keeps the
/// chosen ones in a binary heap with the lowest at its root, which a later one replaces where it is
/// higher.
#[derive(Debug, Default)]
pub struct TopK {
    heap: Vec<usize>,
}

impl TopK {
    /// Those of `0..n` with the highest scores, at most `k`, in ascending order.
    pub fn choose(&mut self, n: usize, k: usize, score: impl Fn(usize) -> f32) -> &[usize] {
        let heap = &mut self.heap;
        heap.clear();
        heap.extend(0..k.min(n));
        if k < n && k > 0 {
            for parent in (0..k / 2).rev() {
                let item = heap[parent];
                sift(heap, parent, item, &score);
            }
            for next in k..n {
                if score(next) > score(heap[0]) {
                    sift(heap, 0, next, &score);
                }
            }
            heap.sort_unstable();
        }
        heap
    }
}

/// Puts `item` where it belongs below `top`: down to a leaf by the lower children, then up again.
fn sift(heap: &mut [usize], top: usize, item: usize, score: impl Fn(usize) -> f32) {
    let mut hole = top;
    loop {
        let (left, right) = (2 * hole + 1, 2 * hole + 2);
        let child = match heap.get(right) {
            Some(&right_item) if score(right_item) > score(heap[left]) => left,
            Some(_) => right,
            None if left < heap.len() => left,
            None => break,
        };
        heap[hole] = heap[child];
        hole = child;
    }
    while hole > top {
        let parent = (hole - 1) / 2;
        if score(heap[parent]) <= score(item) {
            break;
        }
        heap[hole] = heap[parent];
        hole = parent;
    }
    heap[hole] = item;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(scores: &[f32], k: usize) -> Vec<usize> {
        TopK::default().choose(scores.len(), k, |i| scores[i]).to_vec()
    }

    #[test]
    fn the_highest_are_chosen() {
        assert_eq!(chosen(&[1.0, 5.0, -2.0, 4.0, 3.0], 3), [1, 3, 4]);
        assert_eq!(chosen(&[1.0, 2.0], 3), [0, 1]);
        assert!(chosen(&[1.0, 2.0], 0).is_empty() && chosen(&[], 2).is_empty());
        let scores: Vec<f32> = (0..500).map(|i| (i * 7919 % 503) as f32).collect();
        for k in [1, 2, 7, 64, 499] {
            let mut order: Vec<usize> = (0..500).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            order.truncate(k);
            order.sort_unstable();
            assert_eq!(chosen(&scores, k), order);
        }
    }

    /// As `std::partial_sort` of GCC 12 chooses.
    #[test]
    fn equal_scores_at_the_limit_are_chosen_as_in_llama_cpp() {
        let expected: [&[usize]; 4] = [
            &[0, 1, 3, 4, 7, 8, 14, 16, 20],
            &[0, 5, 7, 8, 10, 12, 15, 16, 21, 31, 33, 35],
            &[0, 1, 7, 8, 10, 16, 17, 20, 22, 26, 28, 33, 35, 36, 42],
            &[0, 3, 4, 5, 8, 9, 10, 11, 12, 14, 15, 16, 17, 22, 23, 33, 35, 43],
        ];
        for (case, expected) in (0u32..).zip(expected) {
            let n = 30 + 10 * case as usize;
            let mut seed = case + 1;
            let scores: Vec<f32> = (0..n)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    match ((seed >> 24) % 5, (seed >> 20) % 3) {
                        (0, _) => 2.0,
                        (_, 0) => 0.0,
                        _ => -((seed >> 16) as f32 % 2.0),
                    }
                })
                .collect();
            assert_eq!(chosen(&scores, expected.len()), expected);
        }
    }
}

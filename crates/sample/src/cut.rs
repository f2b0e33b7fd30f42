//! Where a row of candidates is cut off. Nothing as large as a vocabulary is sorted for it.

/// Buckets of a histogram.
const BUCKETS: usize = 1024;
/// So many candidates are rather sorted.
const FEW: usize = 512;
/// Keys that lie further from the first share the last bucket, so that a stray one does not make
/// the others' buckets coarse; beyond, probabilities are of no weight.
const SPAN: f32 = 32.0;

/// An end of a row of candidates in the order of keys: those of keys below `key` stay, and so do
/// `ties` of the `equals` with this key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cut {
    pub(crate) key: f32,
    pub(crate) ties: usize,
    pub(crate) equals: usize,
}

impl Cut {
    /// Lets all stay that have a finite key.
    pub(crate) const NONE: Self = Self { key: f32::MAX, ties: 0, equals: 0 };

    /// The end of the shortest row whose `weights` reach `target`; of equal keys the heavier come
    /// first. Infinite keys are no candidates and must be of no weight.
    ///
    /// A histogram of the weights over the keys tells the bucket of the last candidate. Only what
    /// is in there is looked at closer, by another histogram or, once it is little, by sorting.
    pub(crate) fn at(keys: &[f32], weights: &[f32], target: f64) -> Self {
        let mut before = 0.0;
        let (low, high) = bounds(keys);
        let mut buckets = Buckets::over(low, high.min(low + SPAN));
        let Some(mut bucket) = buckets.find(keys, weights, &mut before, target) else {
            return Self::NONE;
        };
        let mut row = buckets.content(bucket, keys, weights);
        loop {
            let n = row.0.len();
            let (low, high) = bounds(&row.0);
            if n <= FEW || low == high {
                return Self::in_sorted(row, before, target);
            }
            buckets = Buckets::over(low, high);
            let Some(next) = buckets.find(&row.0, &row.1, &mut before, target) else {
                return Self::in_sorted(row, before, target);
            };
            bucket = next;
            row = buckets.content(bucket, &row.0, &row.1);
            if row.0.len() == n {
                return Self::in_sorted(row, before, target);
            }
        }
    }

    fn in_sorted((keys, weights): (Vec<f32>, Vec<f32>), mut before: f64, target: f64) -> Self {
        let mut row: Vec<(f32, f32)> = keys.into_iter().zip(weights).collect();
        row.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        let reached = row.iter().position(|(_, weight)| {
            before += f64::from(*weight);
            before >= target
        });
        // Rounding may leave a crumb to be reached.
        let Some(last) = reached.or(row.len().checked_sub(1)) else { return Self::NONE };
        let key = row[last].0;
        let first = row.partition_point(|(other, _)| *other < key);
        let equals = row.partition_point(|(other, _)| *other <= key) - first;
        Self { key, ties: last + 1 - first, equals }
    }
}

/// A histogram of weights over keys.
struct Buckets {
    low: f32,
    scale: f32,
}

impl Buckets {
    fn over(low: f32, high: f32) -> Self {
        Self { low, scale: (BUCKETS - 1) as f32 / (high - low) }
    }

    /// A key's bucket. It never falls as keys rise.
    fn of(&self, key: f32) -> usize {
        // From 2^23 on, a number's last bits are its whole part.
        const WHOLE: f32 = 8_388_608.0;
        const LAST: f32 = (BUCKETS - 1) as f32;
        let place = (key - self.low) * self.scale;
        let place = if place < LAST { place } else { LAST };
        (place + WHOLE).to_bits() as usize % BUCKETS
    }

    /// The bucket in which `target` is reached; adds the weights of those before to `before`.
    fn find(&self, keys: &[f32], weights: &[f32], before: &mut f64, target: f64) -> Option<usize> {
        const LANES: usize = 32;
        let mut sums = [0f64; BUCKETS];
        let mut places = [0; LANES];
        for (keys, weights) in keys.chunks(LANES).zip(weights.chunks(LANES)) {
            places.iter_mut().zip(keys).for_each(|(place, key)| *place = self.of(*key) as u32);
            for (place, weight) in places.iter().zip(weights) {
                sums[*place as usize % BUCKETS] += f64::from(*weight);
            }
        }
        sums.iter().position(|sum| {
            let reached = *before + sum >= target;
            *before += if reached { 0.0 } else { *sum };
            reached
        })
    }

    /// What is in a bucket.
    fn content(&self, bucket: usize, keys: &[f32], weights: &[f32]) -> (Vec<f32>, Vec<f32>) {
        const LANES: usize = 32;
        let inside = |key: f32| self.of(key) == bucket && key < f32::INFINITY;
        let mut content = (Vec::new(), Vec::new());
        for (keys, weights) in keys.chunks(LANES).zip(weights.chunks(LANES)) {
            if keys.iter().fold(false, |any, key| any | inside(*key)) {
                let row = keys.iter().zip(weights).filter(|(key, _)| inside(**key));
                content.extend(row);
            }
        }
        content
    }
}

/// The lowest and the highest of the finite keys.
fn bounds(keys: &[f32]) -> (f32, f32) {
    let mut low = [f32::INFINITY; 16];
    let mut high = [f32::NEG_INFINITY; 16];
    for chunk in keys.chunks(low.len()) {
        for ((low, high), &key) in low.iter_mut().zip(&mut high).zip(chunk) {
            let finite = if key < f32::INFINITY { key } else { f32::NEG_INFINITY };
            *low = if key < *low { key } else { *low };
            *high = if finite > *high { finite } else { *high };
        }
    }
    (low.into_iter().fold(f32::INFINITY, f32::min), high.into_iter().fold(f32::MIN, f32::max))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(keys: &[f32], weights: &[f32], target: f64) -> Cut {
        let finite = keys.iter().zip(weights).filter(|(key, _)| key.is_finite());
        let (keys, weights): (Vec<f32>, Vec<f32>) = finite.unzip();
        if weights.iter().map(|w| f64::from(*w)).sum::<f64>() < target {
            return Cut::NONE;
        }
        Cut::in_sorted((keys, weights), 0.0, target)
    }

    proptest! {
        #[test]
        fn equals_a_full_sort(
            // Powers of two add up alike in any order.
            row in prop::collection::vec((0u8..4, 0f32..40.0, 0i32..4), 0..3000),
            target in 0f64..3000.0,
            spread in prop::sample::select(vec![0.0, 1e-30, 1e-3, 1.0, 1e4, 1e36]),
        ) {
            let key = |(kind, key, _): &(u8, f32, i32)| match kind {
                0 => f32::INFINITY,
                1 => key.round() * spread,
                _ => key * spread,
            };
            let keys: Vec<f32> = row.iter().map(key).collect();
            let weight = |(kind, _, w): &(u8, f32, i32)| if *kind == 0 { 0.0 } else { (-w as f32).exp2() };
            let weights: Vec<f32> = row.iter().map(weight).collect();
            prop_assert_eq!(Cut::at(&keys, &weights, target), sorted(&keys, &weights, target));
        }
    }

    #[test]
    fn one_stray_key_and_many_equal_ones_are_no_trouble() {
        let mut keys: Vec<f32> = (0..100_000).map(|i| 1.0 + (i % 977) as f32 * 1e-6).collect();
        keys[5] = 3e38;
        keys[6] = 0.0;
        let weights = vec![1.0; keys.len()];
        for target in [1.0, 2.0, 50_000.0, 99_999.0, 100_000.0, 100_001.0] {
            assert_eq!(Cut::at(&keys, &weights, target), sorted(&keys, &weights, target));
        }
        let equal = vec![0.5; 100_000];
        let cut = Cut::at(&equal, &weights, 70_000.0);
        assert_eq!(cut, Cut { key: 0.5, ties: 70_000, equals: 100_000 });
        assert_eq!(Cut::at(&[], &[], 1.0), Cut::NONE);
    }
}

//! A softmax over keys that come tile by tile, and then part by part.

use std::ops::Range;

use backend::DistanceBias;

use crate::ops::softcap;
use crate::simd::{Kernel, Simd, exp};

/// Softmax over some keys, not yet divided: per query the greatest score, the sum of
/// `exp(score - greatest)`, and the sum of values with these weights.
pub struct Partial<'a> {
    pub max: &'a mut [f32],
    pub total: &'a mut [f32],
    /// `[queries][v_cols]`, whole vectors.
    pub values: &'a mut [f32],
}

impl<'a> Partial<'a> {
    /// Numbers for `count` queries.
    pub fn len(count: usize, v_cols: usize) -> usize {
        count * (2 + v_cols)
    }

    /// The parts of a buffer of that length.
    pub fn new(buffer: &'a mut [f32], count: usize) -> Self {
        let (max, rest) = buffer.split_at_mut(count);
        let (total, values) = rest.split_at_mut(count);
        Self { max, total, values }
    }
}

impl Partial<'_> {
    pub fn reborrow(&mut self) -> Partial<'_> {
        Partial { max: self.max, total: self.total, values: self.values }
    }

    /// Of no keys.
    pub fn clear(&mut self) {
        self.max.fill(f32::NEG_INFINITY);
        self.total.fill(0.0);
        self.values.fill(0.0);
    }
}

/// Adds the keys of one partial result, `part`, to another.
pub struct Merge<'a> {
    pub into: Partial<'a>,
    /// It is overwritten.
    pub part: Partial<'a>,
    /// Room for a number per query.
    pub keep: &'a mut [f32],
}

impl Kernel for Merge<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { into, part, keep } = self;
        let v_cols = into.values.len() / into.max.len();
        let one = s.splat(1.0);
        let maxima = into.max.chunks_mut(S::LANES).zip(part.max.chunks_mut(S::LANES));
        for ((into, part), keep) in maxima.zip(keep.chunks_mut(S::LANES)) {
            let (a, b) = (load(s, into), load(s, part));
            // Where both are infinite there is nothing to add.
            store(s, s.select_lt(a, b, exp(s, s.sub(a, b)), one), &mut keep[..into.len()]);
            store(s, s.max(a, b), into);
            store(s, s.select_lt(b, a, exp(s, s.sub(b, a)), one), part);
        }
        // From here on `part.max` has the factors of the part.
        let factors = keep.iter().zip(&*part.max);
        let totals = into.total.iter_mut().zip(&*part.total);
        let values = into.values.chunks_exact_mut(v_cols).zip(part.values.chunks_exact(v_cols));
        for (((&keep, &factor), (total, part_total)), (values, part)) in
            factors.zip(totals).zip(values)
        {
            *total = *total * keep + part_total * factor;
            let (keep, factor) = (s.splat(keep), s.splat(factor));
            let vectors = values.chunks_exact_mut(S::LANES).zip(part.chunks_exact(S::LANES));
            for (values, part) in vectors {
                let kept = s.mul(s.load(values), keep);
                s.store(s.mul_add(s.load(part), factor, kept), values);
            }
        }
    }
}

/// Divides: writes the result of a query.
#[inline(always)]
pub fn finish<S: Simd>(s: S, partial: &Partial<'_>, i: usize, sink: Option<f32>, out: &mut [f32]) {
    let v_cols = partial.values.len() / partial.max.len();
    let values = &partial.values[i * v_cols..][..v_cols];
    let (max, mut total) = (partial.max[i], partial.total[i]);
    let mut factor = 1.0;
    if let Some(sink) = sink {
        let greatest = max.max(sink);
        factor = (max - greatest).exp();
        total = total * factor + (sink - greatest).exp();
    }
    let (factor, total) = (s.splat(factor), s.splat(total));
    for (values, out) in values.chunks_exact(S::LANES).zip(out.chunks_mut(S::LANES)) {
        store(s, s.div(s.mul(s.load(values), factor), total), out);
    }
}

/// Up to a vector; zeros for what is missing.
#[inline(always)]
fn load<S: Simd>(s: S, x: &[f32]) -> S::V {
    if x.len() == S::LANES { s.load(x) } else { s.load_partial(x) }
}

/// Up to a vector.
#[inline(always)]
fn store<S: Simd>(s: S, v: S::V, x: &mut [f32]) {
    if x.len() == S::LANES { s.store(v, x) } else { s.store_partial(v, x) }
}

/// What distance changes in a query's scores of a tile.
#[derive(Clone, Copy)]
pub struct Distance<'a> {
    /// Cost of a step.
    pub slope: f32,
    pub bias: Option<&'a DistanceBias>,
    pub head: usize,
    /// Position of the query.
    pub query: usize,
    /// Position of the tile's first key.
    pub first_key: usize,
}

impl Distance<'_> {
    #[inline(always)]
    fn apply(&self, scores: &mut [f32]) {
        for (key, score) in (self.first_key..).zip(&mut *scores) {
            *score -= self.slope * self.query.abs_diff(key) as f32;
        }
        if let Some(bias) = self.bias {
            for (key, score) in (self.first_key..).zip(scores) {
                *score += bias.get(self.head, self.query, key);
            }
        }
    }
}

/// Caps one query's scores of a tile, changes them by distance, and hides what it doesn't see.
/// Returns the greatest of them and `max`.
#[inline(always)]
pub fn score<S: Simd>(
    s: S,
    scores: &mut [f32],
    visible: Range<usize>,
    cap: f32,
    distance: Option<Distance<'_>>,
    max: f32,
) -> f32 {
    if cap > 0.0 {
        for scores in scores.chunks_exact_mut(S::LANES) {
            s.store(softcap(s, s.load(scores), cap), scores);
        }
    }
    if let Some(distance) = distance {
        distance.apply(scores);
    }
    scores[..visible.start].fill(f32::NEG_INFINITY);
    scores[visible.end..].fill(f32::NEG_INFINITY);
    let mut greatest = s.splat(max);
    for scores in scores.chunks_exact(S::LANES) {
        greatest = s.max(greatest, s.load(scores));
    }
    s.reduce_max(greatest)
}

/// Raises each `max` to `to`; `keep` gets the factors for everything summed before.
#[inline(always)]
pub fn raise<S: Simd>(s: S, max: &mut [f32], to: &[f32], keep: &mut [f32]) {
    let chunks = max.chunks_mut(S::LANES).zip(to.chunks(S::LANES)).zip(keep.chunks_mut(S::LANES));
    for ((max, to), keep) in chunks {
        let n = max.len();
        let (old, new) = (load(s, max), load(s, &to[..n]));
        // Both are infinite before a query has seen anything.
        let step = s.select_lt(old, new, s.sub(old, new), s.splat(0.0));
        store(s, exp(s, step), &mut keep[..n]);
        max.copy_from_slice(&to[..n]);
    }
}

/// Turns one query's scores of a tile into weights `exp(score - max)` and adds them to `total`,
/// lane by lane, after its factor `keep`.
#[inline(always)]
pub fn weigh<S: Simd>(s: S, scores: &mut [f32], max: f32, total: &mut [f32], keep: f32) {
    if max == f32::NEG_INFINITY {
        scores.fill(0.0);
        return;
    }
    let max = s.splat(max);
    let mut sums = s.mul(s.load(total), s.splat(keep));
    for scores in scores.chunks_exact_mut(S::LANES) {
        let weights = exp(s, s.sub(s.load(scores), max));
        sums = s.add(sums, weights);
        s.store(weights, scores);
    }
    s.store(sums, total);
}

//! Attention of some queries over some keys of one head, tile by tile, with a running softmax.

use std::ops::Range;

use backend::{AttentionParams, Mask, PAGE};

use super::product::{Ahead, Matrix, Product};
use super::store::{Element, PAD, Shape, Tiles};
use crate::ops::{Rows, softcap};
use crate::simd::{Kernel, Simd, exp};

/// Queries of consecutive rows for the query heads that share a key/value head. Query
/// `row * group + g` belongs to the head `kv_head * group + g`.
#[derive(Clone)]
pub struct Queries<'a> {
    /// All rows of the span, `[rows][n_head * head_dim]`.
    pub q: Rows<'a>,
    /// These of its rows.
    pub rows: Range<usize>,
    /// Position of the span's first row.
    pub pos: usize,
    /// Positions in the sequence.
    pub len: usize,
    pub pages: &'a [u32],
    pub kv_head: usize,
    /// Query heads per key/value head.
    pub group: usize,
}

impl Queries<'_> {
    /// Number of queries.
    pub fn count(&self) -> usize {
        self.rows.len() * self.group
    }

    /// Positions that the row of query `i` sees.
    #[inline(always)]
    fn visible(&self, mask: Mask, i: usize) -> Range<usize> {
        mask.visible(self.pos + self.rows.start + i / self.group, self.len)
    }
}

/// Softmax over some keys, not yet divided: per query the greatest score, the sum of
/// `exp(score - greatest)`, and the sum of values with these weights.
pub struct Partial<'a> {
    pub max: &'a mut [f32],
    pub total: &'a mut [f32],
    /// `[queries][v_cols]`.
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

/// Buffers of one thread.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Scaled queries, `[queries][head_dim]`.
    q: Vec<f32>,
    /// Scores, then weights, `[queries][PAGE]`.
    scores: Vec<f32>,
    /// Totals, `[queries][PAD]`, of which a vector is used.
    totals: Vec<f32>,
    /// The greatest scores up to a tile.
    max: Vec<f32>,
    /// What the tile leaves of the sums before it.
    keep: Vec<f32>,
    /// Converted tiles.
    k: Vec<f32>,
    v: Vec<f32>,
    /// For blocks that are not split.
    pub partial: Vec<f32>,
}

impl Scratch {
    /// Makes room for `count` queries.
    pub fn reserve(&mut self, count: usize, shape: Shape) {
        let grow = |buffer: &mut Vec<f32>, len| {
            if buffer.len() < len {
                buffer.resize(len, 0.0);
            }
        };
        grow(&mut self.q, count * shape.head_dim);
        grow(&mut self.scores, count * PAGE);
        grow(&mut self.totals, count * PAD);
        grow(&mut self.max, count);
        grow(&mut self.keep, count);
        grow(&mut self.k, shape.k_tile());
        grow(&mut self.v, shape.v_tile());
        grow(&mut self.partial, Partial::len(count, shape.v_cols));
    }
}

/// Attention of `queries` over positions `keys`, which each of them may see only partly.
pub struct Block<'a, T> {
    pub tiles: &'a Tiles<T>,
    pub queries: Queries<'a>,
    pub keys: Range<usize>,
    pub params: &'a AttentionParams,
    pub scratch: &'a mut Scratch,
    pub out: Partial<'a>,
}

impl<T: Element> Kernel for Block<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { tiles, queries, keys, params, scratch, out } = self;
        let shape = tiles.shape;
        let count = queries.count();
        gather(s, &queries, shape.head_dim, params.scale, &mut scratch.q);
        out.max.fill(f32::NEG_INFINITY);
        out.values.fill(0.0);
        scratch.totals[..count * PAD].fill(0.0);

        let mut start = keys.start;
        while start < keys.end {
            let first = start - start % PAGE;
            let end = keys.end.min(first + PAGE);
            let tile = tiles.tile(queries.pages, start, queries.kv_head);
            let (k, v) = (tiles.keys(tile), tiles.values(tile));
            let next_k = match end {
                end if end < keys.end => {
                    tiles.keys(tiles.tile(queries.pages, end, queries.kv_head))
                }
                _ => &[],
            };
            let cols = (end - first).next_multiple_of(PAD);

            let q = Matrix { data: &scratch.q, stride: shape.head_dim };
            let size = [count, cols, shape.head_dim];
            let k = Matrix { data: k, stride: PAGE };
            let ahead = Ahead::new(v, shape.head_dim);
            tile_product(s, size, q, k, &mut scratch.k, &mut scratch.scores, PAGE, None, ahead);

            for i in 0..count {
                let visible = queries.visible(params.mask, i);
                let visible =
                    visible.start.clamp(first, end) - first..visible.end.clamp(first, end) - first;
                let scores = &mut scratch.scores[i * PAGE..][..cols];
                scratch.max[i] = score(s, scores, visible, params.softcap, out.max[i]);
            }
            raise(s, out.max, &scratch.max, &mut scratch.keep);
            for i in 0..count {
                let scores = &mut scratch.scores[i * PAGE..][..cols];
                let total = &mut scratch.totals[i * PAD..][..PAD];
                weigh(s, scores, out.max[i], total, scratch.keep[i]);
            }

            let size = [count, shape.v_cols, end - start];
            let weights = Matrix { data: &scratch.scores[start - first..], stride: PAGE };
            let v = Matrix { data: &v[(start - first) * shape.v_cols..], stride: shape.v_cols };
            let keep = Some(&scratch.keep[..]);
            let ahead = Ahead::new(next_k, end - start);
            let (v_cols, converted) = (shape.v_cols, &mut scratch.v);
            tile_product(s, size, weights, v, converted, out.values, v_cols, keep, ahead);
            start = end;
        }
        for (total, sums) in out.total.iter_mut().zip(scratch.totals.chunks_exact(PAD)) {
            *total = s.reduce_add(s.load(sums));
        }
    }
}

/// Copies the queries, scaled.
#[inline(always)]
fn gather<S: Simd>(s: S, queries: &Queries<'_>, head_dim: usize, scale: f32, out: &mut [f32]) {
    let width = queries.group * head_dim;
    for (row, out) in queries.rows.clone().zip(out.chunks_exact_mut(width)) {
        let q = &queries.q.row(row)[queries.kv_head * width..][..width];
        for (q, out) in q.chunks(S::LANES).zip(out.chunks_mut(S::LANES)) {
            let scale = s.splat(scale);
            if q.len() == S::LANES {
                s.store(s.mul(s.load(q), scale), out);
            } else {
                s.store_partial(s.mul(s.load_partial(q), scale), out);
            }
        }
    }
}

/// A product with a stored tile, which is converted first where several passes would read it.
#[inline(always)]
fn tile_product<S: Simd, T: Element>(
    s: S,
    size: [usize; 3],
    a: Matrix<'_, f32>,
    b: Matrix<'_, T>,
    converted: &mut [f32],
    c: &mut [f32],
    c_stride: usize,
    keep: Option<&[f32]>,
    ahead: Ahead<'_, T>,
) {
    let [m, n, k] = size;
    if size_of::<T>() == size_of::<f32>() || m <= S::TILE_ROWS {
        return s.outline(Product { size, a, b, c, c_stride, keep, ahead });
    }
    for row in 0..k {
        ahead.fetch(s, row);
        for col in (0..n).step_by(S::LANES) {
            let at = row * b.stride + col;
            s.store(T::load(s, &b.data[at..]), &mut converted[at..]);
        }
    }
    let b = Matrix { data: &*converted, stride: b.stride };
    let ahead = Ahead::new(&[], 0);
    s.outline(Product { size, a, b, c, c_stride, keep, ahead });
}

/// Caps one query's scores of a tile and hides what it doesn't see. Returns the greatest of them
/// and `max`.
#[inline(always)]
fn score<S: Simd>(s: S, scores: &mut [f32], visible: Range<usize>, cap: f32, max: f32) -> f32 {
    if cap > 0.0 {
        for scores in scores.chunks_exact_mut(S::LANES) {
            s.store(softcap(s, s.load(scores), cap), scores);
        }
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
fn raise<S: Simd>(s: S, max: &mut [f32], to: &[f32], keep: &mut [f32]) {
    let chunks = max.chunks_mut(S::LANES).zip(to.chunks(S::LANES)).zip(keep.chunks_mut(S::LANES));
    for ((max, to), keep) in chunks {
        let n = max.len();
        let whole = n == S::LANES;
        let old = if whole { s.load(max) } else { s.load_partial(max) };
        let new = if whole { s.load(to) } else { s.load_partial(&to[..n]) };
        // Both are infinite before a query has seen anything.
        let step = s.select_lt(old, new, s.sub(old, new), s.splat(0.0));
        let factor = exp(s, step);
        if whole {
            s.store(factor, keep);
        } else {
            s.store_partial(factor, &mut keep[..n]);
        }
        max.copy_from_slice(&to[..n]);
    }
}

/// Turns one query's scores of a tile into weights `exp(score - max)` and adds them to `total`,
/// lane by lane, after its factor `keep`.
#[inline(always)]
fn weigh<S: Simd>(s: S, scores: &mut [f32], max: f32, total: &mut [f32], keep: f32) {
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

//! Choosing cached rows by the scores of their keys.

use std::ops::Range;

use backend::{CacheId, Scoring, Selection, Span};

use super::dots::Dots;
use super::store::Store;
use super::{Caches, INLINE_PRODUCTS, PAD, Scratch, TILE, copy_scaled, grow};
use crate::ops::Rows;
use crate::pool::{Pool, SharedMut};
use crate::simd::{Kernel, Level, Simd};

/// Queries that share a tile, about.
const BLOCK_QUERIES: usize = 64;
/// Tiles that are one thread's at a time.
const TILES: usize = 8;
/// Most scores that are held at once.
const MOST_SCORES: usize = 4 << 20;

/// A choice, and the tensors that it names.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    pub selection: &'a Selection,
    pub q: Rows<'a>,
    /// Of heads, where they choose together.
    pub weights: Option<Rows<'a>>,
}

/// Some rows of a span.
#[derive(Clone, Copy)]
struct Work<'a> {
    inputs: Inputs<'a>,
    store: &'a Store,
    span: &'a Span<'a>,
    first_row: usize,
    n_rows: usize,
    /// Cached rows that the last of them sees.
    n_keys: usize,
}

impl Caches {
    /// Chooses, see [`Selection`]. `out` is dense, with `capacity` names per choice.
    pub fn select(
        &mut self,
        pool: &Pool,
        level: Level,
        inputs: Inputs<'_>,
        keys: CacheId,
        batch: &[Span<'_>],
        capacity: usize,
        out: &mut [f32],
    ) {
        let Self { stores, scratch, floats } = self;
        let store = &stores[keys.0];
        let Selection { n_head, .. } = *inputs.selection;
        let n_sets = inputs.selection.n_sets();
        assert_eq!(inputs.q.cols, n_head * store.spec.width, "columns of queries");
        let block = (BLOCK_QUERIES / n_head).max(1);
        for span in batch {
            let longest = (span.len() / store.spec.stride).max(1);
            let step = (MOST_SCORES / (longest * n_sets)).max(1).next_multiple_of(block);
            for first in span.rows.clone().step_by(step) {
                let n_rows = step.min(span.rows.end - first);
                let n_keys = (span.pos + first - span.rows.start + n_rows) / store.spec.stride;
                let work = Work { inputs, store, span, first_row: first, n_rows, n_keys };
                grow(floats, n_rows * n_sets * n_keys);
                let scores = SharedMut::new(&mut floats[..n_rows * n_sets * n_keys]);
                let out = &mut out[first * n_sets * capacity..][..n_rows * n_sets * capacity];
                work.run(pool, level, scratch, block, scores, capacity, out);
            }
        }
    }
}

impl Work<'_> {
    fn run(
        self,
        pool: &Pool,
        level: Level,
        scratch: &mut [Scratch],
        block: usize,
        scores: SharedMut<'_, f32>,
        capacity: usize,
        out: &mut [f32],
    ) {
        let (n_blocks, n_parts) = (self.n_rows.div_ceil(block), self.n_keys.div_ceil(TILES * TILE));
        let Selection { n_head, .. } = *self.inputs.selection;
        let products = self.n_rows * n_head * self.n_keys * self.store.spec.width;
        let score = |scratch: &mut Scratch, item: usize| {
            let rows = item / n_parts * block..self.n_rows.min((item / n_parts + 1) * block);
            let first = item % n_parts * TILES * TILE;
            let keys = first..self.n_keys.min(first + TILES * TILE);
            level.run(Score { work: self, rows, keys, scratch, scores });
        };
        let out = SharedMut::new(out);
        let choose = |scratch: &mut Scratch, row: usize| {
            let n_sets = self.inputs.selection.n_sets();
            let pos = self.span.pos + self.first_row - self.span.rows.start + row;
            let stride = self.store.spec.stride;
            for set in row * n_sets..(row + 1) * n_sets {
                // SAFETY: all scores are written, and each row is chosen for once.
                let (scores, out) = unsafe {
                    let seen = (pos + 1) / stride;
                    (scores.slice(set * self.n_keys, seen), out.slice(set * capacity, capacity))
                };
                self.inputs.selection.choose(&mut scratch.top_k, scores, pos, stride, out);
            }
        };
        if products < INLINE_PRODUCTS {
            (0..n_blocks * n_parts).for_each(|item| score(&mut scratch[0], item));
            (0..self.n_rows).for_each(|row| choose(&mut scratch[0], row));
        } else {
            pool.for_each_with(scratch, n_blocks * n_parts, score);
            pool.for_each_with(scratch, self.n_rows, choose);
        }
    }
}

/// Scores of some rows for some keys, `[row][set][n_keys]`.
struct Score<'a> {
    work: Work<'a>,
    rows: Range<usize>,
    keys: Range<usize>,
    scratch: &'a mut Scratch,
    scores: SharedMut<'a, f32>,
}

impl Kernel for Score<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { work, rows, keys, scratch, scores } = self;
        let Work { inputs, store, span, first_row, n_keys, .. } = work;
        let (width, n_head) = (store.spec.width, inputs.selection.n_head);
        let padded = width.next_multiple_of(PAD);
        let count = rows.len() * n_head;
        let Scratch { q, row: buffer, keys: tile, scores: products, .. } = scratch;
        grow(q, count * padded);
        grow(buffer, width);
        grow(tile, padded * TILE);
        grow(products, count * TILE);
        for (row, q) in rows.clone().zip(q.chunks_exact_mut(n_head * padded)) {
            let heads = inputs.q.row(first_row + row).chunks_exact(width);
            heads
                .zip(q.chunks_exact_mut(padded))
                .for_each(|(from, q)| copy_scaled(s, from, 1.0, q));
        }
        for first in keys.clone().step_by(TILE) {
            let n = TILE.min(keys.end - first);
            for (row, key) in (first..first + n).zip(tile.chunks_exact_mut(padded)) {
                let (key, padding) = key.split_at_mut(width);
                store.read(s, store.spec.place(span.pages, row), 0, buffer, key);
                padding.fill(0.0);
            }
            let (a, b) = (&q[..count * padded], &tile[..n * padded]);
            s.outline(Dots { width: padded, a, b, c: products, c_stride: TILE });
            let sets = inputs.selection.n_sets();
            for (row, products) in rows.clone().zip(products.chunks_exact(n_head * TILE)) {
                for set in 0..sets {
                    // SAFETY: these keys of these rows are this kernel's.
                    let out = unsafe { scores.slice((row * sets + set) * n_keys + first, n) };
                    match inputs.weights {
                        Some(weights) => {
                            debug_assert!(matches!(
                                inputs.selection.scoring,
                                Scoring::Rectified(_)
                            ));
                            rectified(s, products, weights.row(first_row + row), out);
                        }
                        None => out.copy_from_slice(&products[set * TILE..][..n]),
                    }
                }
            }
        }
    }
}

/// `out[j] = Σ_h weights[h] · max(products[h][j], 0)`.
#[inline(always)]
fn rectified<S: Simd>(s: S, products: &[f32], weights: &[f32], out: &mut [f32]) {
    let zero = s.splat(0.0);
    for (at, out) in (0..).step_by(S::LANES).zip(out.chunks_mut(S::LANES)) {
        let mut sum = zero;
        for (products, &weight) in products.chunks_exact(TILE).zip(weights) {
            sum = s.mul_add(s.max(s.load(&products[at..]), zero), s.splat(weight), sum);
        }
        if out.len() == S::LANES {
            s.store(sum, out);
        } else {
            s.store_partial(sum, out);
        }
    }
}

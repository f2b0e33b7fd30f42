//! Pooling of blocks of positions.

use std::ops::Range;

use backend::{BlockPool, Span};

use crate::ops::Rows;
use crate::pool::{Pool, SharedMut};
use crate::recurrent::{for_each_chunk, load, part, store};
use crate::simd::{Kernel, Level, Simd, exp};

/// Columns per chunk.
const CHUNK: usize = 128;

/// What is pooled, and the tensors that it names.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    pub pool: &'a BlockPool<'a>,
    pub values: Rows<'a>,
    pub scores: Option<Rows<'a>>,
}

/// Pools, see [`BlockPool`]. `out` is dense, a row for each block that the batch completes.
pub fn pool_blocks(
    threads: &Pool,
    level: Level,
    inputs: Inputs<'_>,
    states: &mut [f32],
    batch: &[Span<'_>],
    out: &mut [f32],
) {
    let pool = inputs.pool;
    let width = pool.width();
    if let Some(places) = pool.places {
        assert_eq!(places.len(), pool.block * inputs.values.cols, "scores of places");
    }
    // The first row of each span's result.
    let rows: Vec<usize> = batch
        .iter()
        .scan(0, |next, span| {
            let first = *next;
            *next += span.completes(pool.block).len();
            Some(first)
        })
        .collect();
    let n_rows: usize = batch.iter().map(|span| span.rows.len()).sum();
    let work = n_rows * inputs.values.cols * 8;
    let (out, states) = (SharedMut::new(out), SharedMut::new(states));
    for_each_chunk(threads, batch, width.div_ceil(CHUNK), work, |index, chunk| {
        let (span, first_out) = (&batch[index], rows[index]);
        let cols = part(chunk, CHUNK, width);
        level.run(Columns { inputs, span, first_out, cols, out, states });
    });
}

/// Some columns of a span's pooled rows.
struct Columns<'a> {
    inputs: Inputs<'a>,
    span: &'a Span<'a>,
    first_out: usize,
    cols: Range<usize>,
    out: SharedMut<'a, f32>,
    states: SharedMut<'a, f32>,
}

impl<'a> Columns<'a> {
    /// Values, or scores where `second`, of the row of the state for a position, from column
    /// `first` on.
    ///
    /// # Safety
    /// The columns are this chunk's, and the caller holds them once.
    #[inline(always)]
    unsafe fn state(&self, pos: usize, second: bool, first: usize) -> &'a mut [f32] {
        let pool = self.inputs.pool;
        let (rows, cols) = (pool.state_rows(), pool.state_cols());
        let row = self.span.slot as usize * rows + pos % rows;
        let at = row * cols + if second { self.inputs.values.cols } else { 0 } + first;
        // SAFETY: as the caller promises.
        unsafe { self.states.slice(at, self.cols.len()) }
    }

    /// Keeps a row.
    #[inline(always)]
    fn keep(&self, row: usize, pos: usize) {
        let firsts = [self.cols.start, self.inputs.pool.width() + self.cols.start];
        for &first in &firsts[..if self.inputs.pool.overlap { 2 } else { 1 }] {
            let both = [Some(self.inputs.values), self.inputs.scores];
            for (second, from) in [false, true].into_iter().zip(both) {
                if let Some(from) = from {
                    // SAFETY: these columns are this chunk's.
                    let to = unsafe { self.state(pos, second, first) };
                    to.copy_from_slice(&from.row(row)[first..][..to.len()]);
                }
            }
        }
    }

    /// Positions of a block's members, with the first of the columns that they count with.
    #[inline(always)]
    fn members(&self, pos: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let BlockPool { block, overlap, .. } = *self.inputs.pool;
        let start = pos + 1 - block;
        let before = if overlap { start.saturating_sub(block)..start } else { start..start };
        let own = self.cols.start + if overlap { self.inputs.pool.width() } else { 0 };
        let first = self.cols.start;
        before.map(move |pos| (pos, first)).chain((start..=pos).map(move |pos| (pos, own)))
    }

    /// The score of a member in columns from `at` on.
    #[inline(always)]
    fn score<S: Simd>(&self, s: S, (pos, first): (usize, usize), at: Range<usize>) -> S::V {
        let mut score = s.splat(0.0);
        if self.inputs.scores.is_some() {
            // SAFETY: these columns are this chunk's, and nobody writes to them.
            score = load(s, unsafe { &self.state(pos, true, first)[at.clone()] });
        }
        if let Some(places) = self.inputs.pool.places {
            let row = pos % self.inputs.pool.block * self.inputs.values.cols;
            score = s.add(score, load(s, &places[row + first..][at]));
        }
        score
    }

    /// The row of the block that `pos` completes.
    #[inline(always)]
    fn complete<S: Simd>(&self, s: S, pos: usize, out: &mut [f32]) {
        let n = out.len();
        for at in (0..n).step_by(S::LANES) {
            let at = at..n.min(at + S::LANES);
            let mut most = s.splat(f32::NEG_INFINITY);
            for member in self.members(pos) {
                most = s.max(most, self.score(s, member, at.clone()));
            }
            let (mut total, mut sum) = (s.splat(0.0), s.splat(0.0));
            for member in self.members(pos) {
                let weight = exp(s, s.sub(self.score(s, member, at.clone()), most));
                // SAFETY: as above.
                let value = load(s, unsafe { &self.state(member.0, false, member.1)[at.clone()] });
                total = s.add(total, weight);
                sum = s.mul_add(weight, value, sum);
            }
            store(s, s.div(sum, total), &mut out[at]);
        }
    }
}

impl Kernel for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let block = self.inputs.pool.block;
        let mut next = self.first_out;
        for (row, pos) in self.span.rows.clone().zip(self.span.pos..) {
            self.keep(row, pos);
            if (pos + 1).is_multiple_of(block) {
                let at = next * self.inputs.pool.width() + self.cols.start;
                // SAFETY: these columns of the span's rows are this chunk's.
                let out = unsafe { self.out.slice(at, self.cols.len()) };
                self.complete(s, pos, out);
                next += 1;
            }
        }
    }
}

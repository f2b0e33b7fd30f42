//! States of recurrent layers, and the operations on them.
//!
//! Each operation goes through the rows of a span in order, for a chunk of channels or of a head's
//! values at a time; chunks know nothing of each other. So results depend neither on the number of
//! threads nor on how rows are batched.

mod conv;
mod linear_attention;
mod scan;
mod shift;
mod states;

pub use conv::{Conv, short_conv};
pub use linear_attention::{Inputs, linear_attention};
pub use scan::{Scan, selective_scan};
pub use shift::token_shift;
pub use states::States;

use std::ops::Range;

use backend::Span;

use crate::pool::{Pool, SharedMut};
use crate::simd::Simd;

/// Multiplications from which other threads help.
const PARALLEL_WORK: usize = 32 * 1024;

/// What chunks of work write: the result's rows and the states, of which each has its own parts.
#[derive(Clone, Copy)]
struct Target<'a> {
    out: SharedMut<'a, f32>,
    cols: usize,
    states: SharedMut<'a, f32>,
    state_len: usize,
}

impl<'a> Target<'a> {
    /// Columns of a row of the result.
    ///
    /// # Safety
    /// As [`SharedMut::slice`].
    #[inline(always)]
    unsafe fn out(&self, row: usize, cols: Range<usize>) -> &'a mut [f32] {
        assert!(cols.end <= self.cols, "columns {cols:?} of {}", self.cols);
        // SAFETY: as the caller promises.
        unsafe { self.out.slice(row * self.cols + cols.start, cols.len()) }
    }

    /// Values of a span's state.
    ///
    /// # Safety
    /// As [`SharedMut::slice`].
    #[inline(always)]
    unsafe fn state(&self, span: &Span<'_>, values: Range<usize>) -> &'a mut [f32] {
        assert!(values.end <= self.state_len, "values {values:?} of {}", self.state_len);
        let start = span.slot as usize * self.state_len + values.start;
        // SAFETY: as the caller promises.
        unsafe { self.states.slice(start, values.len()) }
    }

    /// Values of the state that a span goes on from; zeros for a sequence that begins.
    ///
    /// # Safety
    /// As [`SharedMut::slice`].
    #[inline(always)]
    unsafe fn begin(&self, span: &Span<'_>, values: Range<usize>) -> &'a mut [f32] {
        // SAFETY: as the caller promises.
        let state = unsafe { self.state(span, values) };
        if span.pos == 0 {
            state.fill(0.0);
        }
        state
    }
}

/// Runs `task(index of the span, chunk)` for all chunks of all spans that have rows, on several threads where
/// the work is worth it.
///
/// # Panics
/// Where spans share rows or slots, which tasks rely on.
pub fn for_each_chunk(
    pool: &Pool,
    batch: &[Span<'_>],
    n_chunks: usize,
    work: usize,
    task: impl Fn(usize, usize) + Sync,
) {
    assert!(batch.is_sorted_by(|a, b| a.rows.end <= b.rows.start), "rows of {batch:?}");
    for (i, span) in batch.iter().enumerate() {
        assert!(batch[..i].iter().all(|other| other.slot != span.slot), "slots of {batch:?}");
    }
    let run = |item: usize| {
        if !batch[item / n_chunks].rows.is_empty() {
            task(item / n_chunks, item % n_chunks);
        }
    };
    let n_items = batch.len() * n_chunks;
    if work < PARALLEL_WORK {
        (0..n_items).for_each(run);
    } else {
        pool.for_each(n_items, |_, item| run(item));
    }
}

/// Part `chunk` of `len` things, `size` at a time.
pub fn part(chunk: usize, size: usize, len: usize) -> Range<usize> {
    chunk * size..((chunk + 1) * size).min(len)
}

/// A whole vector or the rest of a row.
#[inline(always)]
pub fn load<S: Simd>(s: S, x: &[f32]) -> S::V {
    if x.len() == S::LANES { s.load(x) } else { s.load_partial(x) }
}

/// As [`load`].
#[inline(always)]
pub fn store<S: Simd>(s: S, v: S::V, x: &mut [f32]) {
    if x.len() == S::LANES { s.store(v, x) } else { s.store_partial(v, x) }
}

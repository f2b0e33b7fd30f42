//! Rows that direct kernels read side by side, each a stream of its own.

pub(super) use crate::simd::STREAMS;
use crate::simd::x86::{follow, several_streams};

/// Rows `first`, `first + step` and so on.
#[derive(Clone, Copy)]
pub(super) struct Set {
    pub first: usize,
    pub step: usize,
}

/// Sets of [`STREAMS`] of `n_rows` rows, as far from each other as they can be, where the processor reads
/// [several streams](several_streams) faster and a kernel `can` do so; then sets of one row for the others.
#[inline(always)]
pub(super) fn sets(
    n_rows: usize,
    can: bool,
) -> (impl Iterator<Item = Set>, impl Iterator<Item = Set>) {
    let step = if can && several_streams() { n_rows / STREAMS } else { 0 };
    let sets = (0..step).map(move |first| Set { first, step });
    let others = (step * STREAMS..n_rows).map(|first| Set { first, step: 0 });
    (sets, others)
}

/// [`follow`]s the one row of a set of `R`.
#[inline(always)]
pub(super) fn follow_one<const R: usize>(at: *const u8, step: usize) {
    if R == 1 {
        follow(at, step);
    }
}

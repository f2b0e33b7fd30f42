//! Direct products with types of larger blocks, AVX-512 VNNI: the loop over rows and blocks.

use std::arch::x86_64::*;

use super::super::activation::Codes;
use super::super::formats::Format;
use super::super::kernels::{DIRECT_ROWS, Strip};
use super::dot::Dot;
use super::streams::{STREAMS, Set, follow_one, sets};

/// How a block is multiplied.
pub(super) trait Blocks {
    /// The type of the blocks.
    type Of: Format;
    /// Whether rows are read side by side: not where instructions are the limit.
    const STREAMS: bool = true;

    /// Adds the products of the block and of `LEN` values from `first` of each column, in lanes yet to
    /// be summed. Sums of a column are independent of the other columns.
    ///
    /// # Safety
    /// `block` points to a whole block, and columns have their values; inlined where AVX2, F16C and
    /// AVX-512 F, BW, DQ, VL and VNNI are enabled.
    unsafe fn add<const T: usize>(
        block: *const u8,
        x: Codes<'_>,
        first: usize,
        acc: &mut [__m512; T],
    );
}

/// `n_rows` rows times `T` columns, whatever `D`: only there are dot products in 512-bit registers.
///
/// # Safety
/// Inlined where AVX2, FMA, F16C and AVX-512 F, BW, DQ, VL and VNNI are enabled.
#[inline(always)]
pub(super) unsafe fn direct<F: Blocks, D: Dot, const T: usize>(
    rows: &[u8],
    n_rows: usize,
    x: Codes<'_>,
    out: &mut Strip,
) {
    const { assert!(F::Of::LEN >= 64) };
    let row_bytes = x.cols / F::Of::LEN * F::Of::BYTES;
    assert!(n_rows <= DIRECT_ROWS && rows.len() == n_rows * row_bytes);
    assert!(x.codes.len() >= T * x.cols && x.pairs.len() >= T * x.cols / 32);
    assert!(x.sums.len() >= T * x.cols / 16 && x.cols.is_multiple_of(F::Of::LEN));
    // SAFETY: lengths are checked above.
    unsafe {
        let (several, others) = sets(n_rows, T == 1 && F::STREAMS);
        for set in several {
            some_rows::<F, T, STREAMS>(rows, row_bytes, set, x, out);
        }
        for set in others {
            some_rows::<F, T, 1>(rows, row_bytes, set, x, out);
        }
    }
}

/// `R` rows. Sums of a row and a column are independent of the others.
#[inline(always)]
unsafe fn some_rows<F: Blocks, const T: usize, const R: usize>(
    rows: &[u8],
    row_bytes: usize,
    set: Set,
    x: Codes<'_>,
    out: &mut Strip,
) {
    // SAFETY: `direct` has checked that rows and columns have these blocks.
    unsafe {
        let mut acc = [[_mm512_setzero_ps(); T]; R];
        for b in 0..x.cols / F::Of::LEN {
            for (r, acc) in acc.iter_mut().enumerate() {
                let row = rows.as_ptr().add((set.first + r * set.step) * row_bytes);
                let block = row.add(b * F::Of::BYTES);
                follow_one::<R>(block, F::Of::BYTES);
                F::add(block, x, b * F::Of::LEN, acc);
            }
        }
        for (r, acc) in acc.into_iter().enumerate() {
            for t in 0..T {
                out[t][set.first + r * set.step] = _mm512_reduce_add_ps(acc[t]);
            }
        }
    }
}

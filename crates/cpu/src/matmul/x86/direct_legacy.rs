//! Direct products with types of 32-value blocks.

use std::arch::x86_64::*;

use quant::{codebook, half_of_e8m0};

use super::super::activation::Codes;
use super::super::formats::Format;
use super::super::formats::legacy::{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
use super::super::formats::table::{Iq4Nl, Mxfp4};
use super::super::kernels::{DIRECT_ROWS, Strip};
use super::dot::{Dot, prefetch, signed, sum};
use super::primitives::{low_and_high, set_bits};

/// How blocks are loaded. Functions are inlined where AVX2 and F16C are enabled, and `block` points
/// to a whole block.
pub(super) trait Blocks: Format {
    /// Whether codes are signed bytes rather than unsigned ones below 64.
    const SIGNED: bool = false;
    /// Factor of `second half · sum of activations`.
    const MIN: f32;

    /// The codes in order.
    unsafe fn codes(block: *const u8) -> __m256i;

    /// Scale in the first lane, min or again the scale in the second.
    #[inline(always)]
    unsafe fn scales(block: *const u8) -> __m128 {
        // SAFETY: every block is at least 4 bytes and starts with its half floats.
        unsafe {
            let halves = block.cast::<i32>().read_unaligned();
            let halves =
                if Self::MINS { _mm_cvtsi32_si128(halves) } else { _mm_set1_epi16(halves as i16) };
            _mm_cvtph_ps(halves)
        }
    }
}

impl Blocks for Q4_0 {
    const MIN: f32 = -8.0;
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> __m256i {
        // SAFETY: within the block.
        unsafe { low_and_high(block.add(2)) }
    }
}

impl Blocks for Q4_1 {
    const MIN: f32 = 1.0;
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> __m256i {
        // SAFETY: within the block.
        unsafe { low_and_high(block.add(4)) }
    }
}

impl Blocks for Q5_0 {
    const MIN: f32 = -16.0;
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> __m256i {
        // SAFETY: within the block.
        unsafe { _mm256_or_si256(low_and_high(block.add(6)), fifth_bits(block.add(2))) }
    }
}

impl Blocks for Q5_1 {
    const MIN: f32 = 1.0;
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> __m256i {
        // SAFETY: within the block.
        unsafe { _mm256_or_si256(low_and_high(block.add(8)), fifth_bits(block.add(4))) }
    }
}

impl Blocks for Q8_0 {
    const SIGNED: bool = true;
    const MIN: f32 = 0.0;
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> __m256i {
        // SAFETY: within the block.
        unsafe { _mm256_loadu_si256(block.add(2).cast()) }
    }
}

impl Blocks for Iq4Nl {
    const SIGNED: bool = true;
    const MIN: f32 = 0.0;
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> __m256i {
        // SAFETY: within the block.
        unsafe { lookup(&codebook::IQ4, low_and_high(block.add(2))) }
    }
}

impl Blocks for Mxfp4 {
    const SIGNED: bool = true;
    const MIN: f32 = 0.0;
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> __m256i {
        // SAFETY: within the block.
        unsafe { lookup(&codebook::E2M1_DOUBLED, low_and_high(block.add(1))) }
    }
    #[inline(always)]
    unsafe fn scales(block: *const u8) -> __m128 {
        // SAFETY: within the block.
        unsafe { _mm_set1_ps(half_of_e8m0(*block)) }
    }
}

/// The entries of a table.
#[inline(always)]
unsafe fn lookup(table: &[i8; 16], indices: __m256i) -> __m256i {
    // SAFETY: the table is as long as the register, and the caller has AVX2.
    unsafe {
        let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
        _mm256_shuffle_epi8(table, indices)
    }
}

/// 32 bits as bytes of 0 or 16.
#[inline(always)]
unsafe fn fifth_bits(at: *const u8) -> __m256i {
    // SAFETY: the caller points to 4 bytes and has AVX2.
    unsafe {
        let set = set_bits(at.cast::<u32>().read_unaligned());
        _mm256_and_si256(set, _mm256_set1_epi8(16))
    }
}

/// `n_rows` rows times `T` columns.
///
/// # Safety
/// Inlined where AVX2, FMA, F16C and the instructions of `D` are enabled.
#[inline(always)]
pub(super) unsafe fn direct<F: Blocks, D: Dot, const T: usize>(
    rows: &[u8],
    n_rows: usize,
    x: Codes<'_>,
    out: &mut Strip,
) {
    let n_blocks = x.cols / 32;
    assert!(n_rows <= DIRECT_ROWS && rows.len() == n_rows * n_blocks * F::BYTES);
    assert!(x.codes.len() >= T * n_blocks * 32 && x.pairs.len() >= T * n_blocks);
    // SAFETY: lengths are checked above.
    unsafe {
        for r in 0..n_rows {
            row::<F, D, T>(rows, n_blocks, r, x, out);
        }
    }
}

/// Row `r`. Sums of a column are independent of the other columns.
#[inline(always)]
unsafe fn row<F: Blocks, D: Dot, const T: usize>(
    rows: &[u8],
    n_blocks: usize,
    r: usize,
    x: Codes<'_>,
    out: &mut Strip,
) {
    // SAFETY: `direct` has checked that rows and columns have `n_blocks` blocks.
    unsafe {
        // Two sums by turns, not to wait for each other.
        let mut even = Sums::zero();
        let mut odd = Sums::zero();
        for b in (1..n_blocks).step_by(2) {
            add_block::<F, D, T>(rows, r * n_blocks, b - 1, x, &mut even);
            add_block::<F, D, T>(rows, r * n_blocks, b, x, &mut odd);
        }
        if n_blocks % 2 == 1 {
            add_block::<F, D, T>(rows, r * n_blocks, n_blocks - 1, x, &mut even);
        }
        for (t, out) in out.iter_mut().enumerate().take(T) {
            let mut y = sum(_mm256_add_ps(even.dot[t], odd.dot[t]));
            if F::MIN != 0.0 {
                let min = _mm_movehdup_ps(_mm_add_ps(even.min[t], odd.min[t]));
                y += F::MIN * _mm_cvtss_f32(min);
            }
            out[r] = y;
        }
    }
}

/// Sums of a row for each column.
struct Sums<const T: usize> {
    /// Dot products, in lanes yet to be summed.
    dot: [__m256; T],
    /// What [`Blocks::MIN`] multiplies, in the second lane.
    min: [__m128; T],
}

impl<const T: usize> Sums<T> {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has AVX2.
        unsafe { Self { dot: [_mm256_setzero_ps(); T], min: [_mm_setzero_ps(); T] } }
    }
}

/// Adds the products of block `b` of the row that starts at block `first`.
#[inline(always)]
unsafe fn add_block<F: Blocks, D: Dot, const T: usize>(
    rows: &[u8],
    first: usize,
    b: usize,
    x: Codes<'_>,
    sums: &mut Sums<T>,
) {
    // SAFETY: `direct` has checked that rows and columns have their blocks.
    unsafe {
        let block = rows.as_ptr().add((first + b) * F::BYTES);
        prefetch(block);
        let codes = F::codes(block);
        let scales = F::scales(block);
        for t in 0..T {
            let at = t * (x.cols / 32) + b;
            let x_codes = _mm256_loadu_si256(x.codes.as_ptr().add(at * 32).cast());
            let pair = _mm_castpd_ps(_mm_load_sd(x.pairs.as_ptr().add(at).cast()));
            let dot = if F::SIGNED {
                signed::<D>(_mm256_setzero_si256(), codes, x_codes)
            } else {
                D::bytes(_mm256_setzero_si256(), codes, x_codes)
            };
            let pair = _mm_mul_ps(scales, pair);
            let scale = _mm256_broadcastss_ps(pair);
            sums.dot[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), scale, sums.dot[t]);
            sums.min[t] = _mm_add_ps(sums.min[t], pair);
        }
    }
}

//! Direct products with float types.

use std::arch::x86_64::*;

use super::super::formats::float::{Bf16, F16, F32};
use super::super::formats::{FloatFormat, Portable};
use super::super::kernels::{DIRECT_ROWS, Floats, Strip};
use super::dot::{prefetch, sum};

/// How values are loaded.
pub(super) trait Loads: FloatFormat {
    /// Converts 8 values.
    ///
    /// # Safety
    /// `at` points to 8 values; inlined where AVX2 and F16C are enabled.
    unsafe fn load(at: *const u8) -> __m256;
}

impl Loads for F32 {
    #[inline(always)]
    unsafe fn load(at: *const u8) -> __m256 {
        // SAFETY: as asked.
        unsafe { _mm256_loadu_ps(at.cast()) }
    }
}

impl Loads for F16 {
    #[inline(always)]
    unsafe fn load(at: *const u8) -> __m256 {
        // SAFETY: as asked.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(at.cast())) }
    }
}

impl Loads for Bf16 {
    #[inline(always)]
    unsafe fn load(at: *const u8) -> __m256 {
        // SAFETY: as asked.
        unsafe {
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(at.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
        }
    }
}

/// `n_rows` rows times `T` columns.
///
/// # Safety
/// Inlined where AVX2, FMA and F16C are enabled.
#[inline(always)]
pub(super) unsafe fn direct<F: Loads, const T: usize>(
    rows: &[u8],
    n_rows: usize,
    x: Floats<'_>,
    out: &mut Strip,
) {
    assert!(n_rows <= DIRECT_ROWS && rows.len() == n_rows * x.cols * F::BYTES);
    assert!(x.data.len() >= (T - 1) * x.stride + x.cols);
    // SAFETY: lengths are checked above.
    unsafe {
        for r in 0..n_rows {
            row::<F, T>(rows, r, x, out);
        }
    }
}

/// Row `r`. Sums of a column are independent of the other columns.
#[inline(always)]
unsafe fn row<F: Loads, const T: usize>(rows: &[u8], r: usize, x: Floats<'_>, out: &mut Strip) {
    // SAFETY: `direct` has checked that rows and columns have `x.cols` values.
    unsafe {
        let row = rows.as_ptr().add(r * x.cols * F::BYTES);
        let column = |t: usize| x.data.as_ptr().add(t * x.stride);
        // Four sums by turns, not to wait for each other.
        let mut acc = [[_mm256_setzero_ps(); 4]; T];
        let whole = x.cols / 32 * 32;
        for k in (0..whole).step_by(32) {
            for line in 0..(32 * F::BYTES).div_ceil(64) {
                prefetch(row.wrapping_add(k * F::BYTES + 64 * line));
            }
            for i in 0..4 {
                let weights = F::load(row.add((k + 8 * i) * F::BYTES));
                for (t, acc) in acc.iter_mut().enumerate() {
                    let values = _mm256_loadu_ps(column(t).add(k + 8 * i));
                    acc[i] = _mm256_fmadd_ps(weights, values, acc[i]);
                }
            }
        }
        for (t, [a, b, c, d]) in acc.into_iter().enumerate() {
            let mut y = sum(_mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d)));
            for k in whole..x.cols {
                let bytes = std::slice::from_raw_parts(row.add(k * F::BYTES), F::BYTES);
                y = F::value(Portable, bytes).mul_add(*column(t).add(k), y);
            }
            out[t][r] = y;
        }
    }
}

//! Direct products with float types.

use std::arch::x86_64::*;

use super::super::formats::FloatFormat;
use super::super::formats::float::{Bf16, F16, F32};
use super::super::half::f16_to_f32;
use super::super::kernels::{DIRECT_ROWS, Floats, Strip};
use super::dot::{prefetch, prefetch_distance, sum};

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

/// `n_rows` rows times `T` columns, `R` rows at a time.
///
/// # Safety
/// Inlined where AVX2, FMA and F16C are enabled.
#[inline(always)]
pub(super) unsafe fn direct<F: Loads, const R: usize, const T: usize>(
    rows: &[u8],
    n_rows: usize,
    x: Floats<'_>,
    out: &mut Strip,
) {
    assert!(n_rows <= DIRECT_ROWS && rows.len() == n_rows * x.cols * F::BYTES);
    assert!(x.data.len() >= (T - 1) * x.stride + x.cols);
    let whole = n_rows / R * R;
    // SAFETY: lengths are checked above.
    unsafe {
        for r in (0..whole).step_by(R) {
            some_rows::<F, R, T>(rows, r, x, out);
        }
        for r in whole..n_rows {
            some_rows::<F, 1, T>(rows, r, x, out);
        }
    }
}

/// Rows `first..first + R`. Each row's sums are independent of `R` and `T`.
#[inline(always)]
unsafe fn some_rows<F: Loads, const R: usize, const T: usize>(
    rows: &[u8],
    first: usize,
    x: Floats<'_>,
    out: &mut Strip,
) {
    // SAFETY: `direct` has checked that rows and columns have `x.cols` values.
    unsafe {
        let row = |r: usize| rows.as_ptr().add((first + r) * x.cols * F::BYTES);
        let column = |t: usize| x.data.as_ptr().add(t * x.stride);
        let mut acc = [[_mm256_setzero_ps(); R]; T];
        let whole = x.cols / 8 * 8;
        let ahead = prefetch_distance(R, x.cols * F::BYTES);
        for k in (0..whole).step_by(8) {
            let values: [__m256; T] = std::array::from_fn(|t| _mm256_loadu_ps(column(t).add(k)));
            for r in 0..R {
                let at = row(r).add(k * F::BYTES);
                prefetch(at.wrapping_add(ahead));
                let weights = F::load(at);
                for (acc, values) in acc.iter_mut().zip(values) {
                    acc[r] = _mm256_fmadd_ps(weights, values, acc[r]);
                }
            }
        }
        for (t, acc) in acc.into_iter().enumerate() {
            for (r, acc) in acc.into_iter().enumerate() {
                let mut y = sum(acc);
                for k in whole..x.cols {
                    let bytes = std::slice::from_raw_parts(row(r).add(k * F::BYTES), F::BYTES);
                    y = F::value(f16_to_f32, bytes).mul_add(*column(t).add(k), y);
                }
                out[t][first + r] = y;
            }
        }
    }
}

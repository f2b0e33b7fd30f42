//! Direct products with float types.

use std::arch::aarch64::*;

use super::super::formats::FloatFormat;
use super::super::formats::float::{Bf16, F16, F32};
use super::super::kernels::{DIRECT_ROWS, Floats, Strip};
use super::Neon;
use super::dot::prefetch;
use crate::isa::aarch64::vcvt_f32_f16;

/// How values are loaded.
pub(super) trait Loads: FloatFormat {
    /// Converts 4 values.
    ///
    /// # Safety
    /// `at` points to 4 values.
    unsafe fn load(at: *const u8) -> float32x4_t;
}

impl Loads for F32 {
    #[inline(always)]
    unsafe fn load(at: *const u8) -> float32x4_t {
        // SAFETY: as asked.
        unsafe { vld1q_f32(at.cast()) }
    }
}

impl Loads for F16 {
    #[inline(always)]
    unsafe fn load(at: *const u8) -> float32x4_t {
        // SAFETY: as asked.
        unsafe { vcvt_f32_f16(vld1_u16(at.cast())) }
    }
}

impl Loads for Bf16 {
    #[inline(always)]
    unsafe fn load(at: *const u8) -> float32x4_t {
        // SAFETY: as asked.
        unsafe { vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(at.cast()))) }
    }
}

/// `n_rows` rows times `T` columns.
pub(super) fn direct<F: Loads, const T: usize>(
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
        let mut acc = [[vdupq_n_f32(0.0); 4]; T];
        let whole = x.cols / 16 * 16;
        for k in (0..whole).step_by(16) {
            prefetch(row.wrapping_add(k * F::BYTES));
            for i in 0..4 {
                let weights = F::load(row.add((k + 4 * i) * F::BYTES));
                for (t, acc) in acc.iter_mut().enumerate() {
                    acc[i] = vfmaq_f32(acc[i], weights, vld1q_f32(column(t).add(k + 4 * i)));
                }
            }
        }
        for (t, [a, b, c, d]) in acc.into_iter().enumerate() {
            let mut y = vaddvq_f32(vaddq_f32(vaddq_f32(a, b), vaddq_f32(c, d)));
            for k in whole..x.cols {
                let bytes = std::slice::from_raw_parts(row.add(k * F::BYTES), F::BYTES);
                y = F::value(Neon, bytes).mul_add(*column(t).add(k), y);
            }
            out[t][r] = y;
        }
    }
}

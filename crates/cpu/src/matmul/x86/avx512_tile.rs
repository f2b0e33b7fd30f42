//! Outer products of panels, AVX-512: 32 rows × up to 6 columns.

use std::arch::x86_64::*;

use super::super::activation::Codes;
use super::super::formats::Format;
use super::super::kernels::{Floats, Tile};
use super::super::panel::Panel;
pub(super) use super::interleave::avx512 as interleave;

/// Two registers of 16 rows.
pub(super) const CODE_ROWS: usize = 32;
/// As above.
pub(super) const FLOAT_ROWS: usize = 32;

/// A panel of codes times `T` columns.
///
/// # Safety
/// Inlined where AVX-512 F, BW, DQ, VL and VNNI are enabled.
#[inline(always)]
pub(super) unsafe fn codes<F: Format, const T: usize>(panel: &Panel, x: Codes<'_>, out: &mut Tile) {
    let groups = x.cols / F::GROUP;
    assert!(
        panel.elements().len() >= x.cols * CODE_ROWS && panel.scales.len() >= groups * CODE_ROWS
    );
    assert!(panel.mins.len() >= groups * CODE_ROWS && x.cols.is_multiple_of(32));
    assert!(x.codes.len() >= T * x.cols && x.pairs.len() >= T * x.cols / 32);
    assert!(x.sums.len() >= T * x.cols / 16);
    // SAFETY: all accesses are within the lengths checked above.
    unsafe {
        let mut acc = [[_mm512_setzero_ps(); 2]; T];
        let mut codes = panel.elements().as_ptr();
        for g in 0..groups {
            // Starting at -OFFSET · Σ activations takes the offset off exactly.
            let mut dot = [[_mm512_setzero_si512(); 2]; T];
            if F::OFFSET != 0 {
                for (t, dot) in dot.iter_mut().enumerate() {
                    *dot = [_mm512_set1_epi32(start::<F>(x, t, g)); 2];
                }
            }
            for i in 0..F::GROUP / 4 {
                let rows = [0, 64].map(|at| _mm512_loadu_si512(codes.add(at).cast()));
                codes = codes.add(4 * CODE_ROWS);
                for (t, dot) in dot.iter_mut().enumerate() {
                    let at = x.codes.as_ptr().add(t * x.cols + g * F::GROUP + 4 * i);
                    let x = _mm512_set1_epi32(at.cast::<i32>().read_unaligned());
                    dot[0] = _mm512_dpbusd_epi32(dot[0], rows[0], x);
                    dot[1] = _mm512_dpbusd_epi32(dot[1], rows[1], x);
                }
            }
            let load = |data: &[f32]| {
                [0, 16].map(|at| _mm512_loadu_ps(data.as_ptr().add(g * CODE_ROWS + at)))
            };
            let scales = load(&panel.scales);
            for t in 0..T {
                let x_scale = _mm512_set1_ps(
                    x.pairs.as_ptr().add((t * x.cols + g * F::GROUP) / 32).read()[0],
                );
                for h in 0..2 {
                    let scale = _mm512_mul_ps(scales[h], x_scale);
                    acc[t][h] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[t][h]), scale, acc[t][h]);
                }
            }
            if F::MINS {
                let mins = load(&panel.mins);
                for t in 0..T {
                    let sum = _mm512_set1_ps(scaled_sum::<F>(x, t, g));
                    for h in 0..2 {
                        acc[t][h] = _mm512_fmadd_ps(mins[h], sum, acc[t][h]);
                    }
                }
            }
        }
        for (acc, out) in acc.iter().zip(out) {
            _mm512_storeu_ps(out.as_mut_ptr(), acc[0]);
            _mm512_storeu_ps(out.as_mut_ptr().add(16), acc[1]);
        }
    }
}

/// The negative offset of group `g` of column `t`.
///
/// # Safety
/// Within the lengths of `x`.
#[inline(always)]
pub(super) unsafe fn start<F: Format>(x: Codes<'_>, t: usize, g: usize) -> i32 {
    // SAFETY: as asked.
    unsafe {
        let at = x.sums.as_ptr().add((t * x.cols + g * F::GROUP) / 16);
        let mut sum = i32::from(at.read());
        if F::GROUP == 32 {
            sum += i32::from(at.add(1).read());
        }
        -i32::from(F::OFFSET) * sum
    }
}

/// Scale times sum of group `g` of column `t`.
///
/// # Safety
/// Within the lengths of `x`.
#[inline(always)]
pub(super) unsafe fn scaled_sum<F: Format>(x: Codes<'_>, t: usize, g: usize) -> f32 {
    // SAFETY: as asked.
    unsafe {
        let first = t * x.cols + g * F::GROUP;
        let [scale, sum] = x.pairs.as_ptr().add(first / 32).read();
        if F::GROUP == 32 { sum } else { scale * f32::from(x.sums.as_ptr().add(first / 16).read()) }
    }
}

/// A panel of floats times `T` columns.
///
/// # Safety
/// Inlined where AVX-512 F is enabled.
#[inline(always)]
pub(super) unsafe fn floats<const T: usize>(panel: &Panel, x: Floats<'_>, out: &mut Tile) {
    assert!(panel.elements().len() >= x.cols * FLOAT_ROWS * 4);
    assert!(x.data.len() >= (T - 1) * x.stride + x.cols);
    // SAFETY: all accesses are within the lengths checked above.
    unsafe {
        let mut acc = [[_mm512_setzero_ps(); 2]; T];
        let weights = panel.elements().as_ptr().cast::<f32>();
        for k in 0..x.cols {
            let rows = [0, 16].map(|at| _mm512_loadu_ps(weights.add(k * FLOAT_ROWS + at)));
            for (t, acc) in acc.iter_mut().enumerate() {
                let x = _mm512_set1_ps(x.data.as_ptr().add(t * x.stride + k).read());
                acc[0] = _mm512_fmadd_ps(rows[0], x, acc[0]);
                acc[1] = _mm512_fmadd_ps(rows[1], x, acc[1]);
            }
        }
        for (acc, out) in acc.iter().zip(out) {
            _mm512_storeu_ps(out.as_mut_ptr(), acc[0]);
            _mm512_storeu_ps(out.as_mut_ptr().add(16), acc[1]);
        }
    }
}

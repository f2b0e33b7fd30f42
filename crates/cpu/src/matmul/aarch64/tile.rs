//! Outer products of panels: 8 rows × up to 6 columns.

use std::arch::aarch64::*;
use std::array::from_fn;

use super::super::activation::Codes;
use super::super::formats::Format;
use super::super::kernels::{Floats, Tile};
use super::super::panel::{Panel, Step};
use super::dot::{Dot, ROWS};

/// Unpacked rows as [`Dot::outer`] takes them: interleaved, and signed by taking the offset off.
#[inline(always)]
pub(super) fn interleave<F: Format, D: Dot>(step: &Step<ROWS>, out: &mut [u8]) {
    for (i, out) in out.chunks_exact_mut(ROWS * D::SIDE_BY_SIDE).enumerate() {
        for (out, row) in out.chunks_exact_mut(D::SIDE_BY_SIDE).zip(step) {
            let codes = &row[i * D::SIDE_BY_SIDE..][..D::SIDE_BY_SIDE];
            out.iter_mut().zip(codes).for_each(|(out, code)| *out = code.wrapping_sub(F::OFFSET));
        }
    }
}

/// A panel of codes in groups of `GROUP`, with mins or without, times `T` columns.
///
/// # Safety
/// Inlined where the instructions of `D` are enabled.
#[inline(always)]
pub(super) unsafe fn codes<D: Dot, const GROUP: usize, const MINS: bool, const T: usize>(
    panel: &Panel,
    x: Codes<'_>,
    out: &mut Tile,
) {
    let groups = x.cols / GROUP;
    assert!(panel.elements().len() >= x.cols * ROWS && panel.scales.len() >= groups * ROWS);
    assert!(panel.mins.len() >= groups * ROWS && x.cols.is_multiple_of(32));
    assert!(x.codes.len() >= T * x.cols && x.pairs.len() >= T * x.cols / 32);
    assert!(x.sums.len() >= T * x.cols / 16);
    // SAFETY: all accesses are within the lengths checked above.
    unsafe {
        match (T, D::COLS) {
            (6, 3) => {
                some_columns::<D, GROUP, MINS, 3>(panel, x, 0, out);
                some_columns::<D, GROUP, MINS, 3>(panel, x, 3, out);
            }
            (5, 3) => {
                some_columns::<D, GROUP, MINS, 3>(panel, x, 0, out);
                some_columns::<D, GROUP, MINS, 2>(panel, x, 3, out);
            }
            (4, 3) => {
                some_columns::<D, GROUP, MINS, 2>(panel, x, 0, out);
                some_columns::<D, GROUP, MINS, 2>(panel, x, 2, out);
            }
            _ => some_columns::<D, GROUP, MINS, T>(panel, x, 0, out),
        }
    }
}

#[inline(always)]
unsafe fn some_columns<D: Dot, const GROUP: usize, const MINS: bool, const T: usize>(
    panel: &Panel,
    x: Codes<'_>,
    first: usize,
    out: &mut Tile,
) {
    // SAFETY: `codes` has checked the lengths, and columns `first..first + T` exist.
    unsafe {
        let mut acc = [[vdupq_n_f32(0.0); 2]; T];
        let weights = panel.elements().as_ptr().cast::<i8>();
        for g in 0..x.cols / GROUP {
            let start = |t: usize| (first + t) * x.cols + g * GROUP;
            let columns: [_; T] = from_fn(|t| x.codes.as_ptr().add(start(t)));
            let dot = D::outer(weights.add(g * GROUP * ROWS), columns, GROUP);
            let load = |data: &[f32]| eight(data.as_ptr().add(g * ROWS));
            let scales = load(&panel.scales);
            for t in 0..T {
                let [x_scale, _] = x.pairs.as_ptr().add(start(t) / 32).read();
                for h in 0..2 {
                    let scale = vmulq_n_f32(scales[h], x_scale);
                    acc[t][h] = vfmaq_f32(acc[t][h], vcvtq_f32_s32(dot[t][h]), scale);
                }
            }
            if MINS {
                let mins = load(&panel.mins);
                for t in 0..T {
                    let sum = scaled_sum(x, start(t), GROUP);
                    acc[t] = from_fn(|h| vfmaq_n_f32(acc[t][h], mins[h], sum));
                }
            }
        }
        for (acc, out) in acc.iter().zip(&mut out[first..]) {
            vst1q_f32(out.as_mut_ptr(), acc[0]);
            vst1q_f32(out.as_mut_ptr().add(4), acc[1]);
        }
    }
}

/// Scale times sum of the group of `len` activations that starts at value `first`.
///
/// # Safety
/// Within the lengths of `x`.
#[inline(always)]
unsafe fn scaled_sum(x: Codes<'_>, first: usize, len: usize) -> f32 {
    // SAFETY: as asked.
    unsafe {
        let [scale, sum] = x.pairs.as_ptr().add(first / 32).read();
        if len == 32 { sum } else { scale * f32::from(x.sums.as_ptr().add(first / 16).read()) }
    }
}

/// A panel of floats times `T` columns.
pub(super) fn floats<const T: usize>(panel: &Panel, x: Floats<'_>, out: &mut Tile) {
    assert!(panel.elements().len() >= x.cols * ROWS * 4);
    assert!(x.data.len() >= (T - 1) * x.stride + x.cols);
    // SAFETY: all accesses are within the lengths checked above.
    unsafe {
        let mut acc = [[vdupq_n_f32(0.0); 2]; T];
        let weights = panel.elements().as_ptr().cast::<f32>();
        let rows = |k: usize| eight(weights.add(k * ROWS));
        let column = |t: usize| x.data.as_ptr().add(t * x.stride);
        let whole = x.cols / 4 * 4;
        for k in (0..whole).step_by(4) {
            let x: [_; T] = from_fn(|t| vld1q_f32(column(t).add(k)));
            add_lane::<0, T>(&mut acc, rows(k), x);
            add_lane::<1, T>(&mut acc, rows(k + 1), x);
            add_lane::<2, T>(&mut acc, rows(k + 2), x);
            add_lane::<3, T>(&mut acc, rows(k + 3), x);
        }
        for k in whole..x.cols {
            let rows = rows(k);
            for (t, acc) in acc.iter_mut().enumerate() {
                let x = column(t).add(k).read();
                *acc = from_fn(|h| vfmaq_n_f32(acc[h], rows[h], x));
            }
        }
        for (acc, out) in acc.iter().zip(out) {
            vst1q_f32(out.as_mut_ptr(), acc[0]);
            vst1q_f32(out.as_mut_ptr().add(4), acc[1]);
        }
    }
}

/// Adds the products of one value of each row and lane `LANE` of columns.
#[inline(always)]
unsafe fn add_lane<const LANE: i32, const T: usize>(
    acc: &mut [[float32x4_t; 2]; T],
    rows: [float32x4_t; 2],
    x: [float32x4_t; T],
) {
    for (acc, x) in acc.iter_mut().zip(x) {
        // SAFETY: registers only.
        *acc = unsafe { from_fn(|h| vfmaq_laneq_f32::<LANE>(acc[h], rows[h], x)) };
    }
}

/// Not by `map`, which compilers leave as a call.
#[inline(always)]
unsafe fn eight(at: *const f32) -> [float32x4_t; 2] {
    // SAFETY: the caller points to 8 values.
    unsafe { [vld1q_f32(at), vld1q_f32(at.add(4))] }
}

//! Outer products of panels, AVX-512: 32 rows × up to 6 columns.

use std::arch::x86_64::*;

use super::super::activation::{Block, Codes};
use super::super::formats::Format;
use super::super::kernels::{Floats, Tile};
use super::super::panel::Panel;
pub(super) use super::interleave::avx512 as interleave;
use super::shape::Shape;

/// Two registers of 16 rows.
pub(super) const CODE_ROWS: usize = 32;
/// Columns that pay for a panel, measured.
pub(super) const CODE_COLS: usize = 5;
/// As [`CODE_ROWS`].
pub(super) const FLOAT_ROWS: usize = 32;
/// As [`CODE_COLS`].
pub(super) const FLOAT_COLS: usize = 8;

/// Bits that tile kernels are compiled for: any codes are summed alike.
pub(super) const fn bits<F: Format>() -> u32 {
    8
}

/// Activations that tile kernels are compiled for.
pub(super) const fn activations<F: Format>() -> Block {
    F::ACTIVATIONS
}

/// A panel of codes times `T` interleaved columns.
///
/// # Safety
/// Inlined where AVX-512 F, BW, DQ, VL and VNNI are enabled.
#[inline(always)]
pub(super) unsafe fn codes<S: Shape, const T: usize>(panel: &Panel, x: Codes<'_>, out: &mut Tile) {
    let groups = x.cols / S::GROUP;
    assert!(
        panel.elements().len() >= x.cols * CODE_ROWS && panel.scales.len() >= groups * CODE_ROWS
    );
    assert!(panel.mins.len() >= groups * CODE_ROWS && x.cols.is_multiple_of(32));
    assert!(x.codes.len() >= T * x.cols && x.pairs.len() >= T * x.cols / 32);
    assert!(x.sums.len() >= T * x.cols / 16);
    // SAFETY: all accesses are within the lengths checked above.
    unsafe {
        let mut acc = [[_mm512_setzero_ps(); 2]; T];
        match S::ACTIVATIONS {
            Block::B32 => {
                for g in 0..groups {
                    add_group::<S, T>(panel, x, g, &mut acc);
                }
            }
            Block::B256 => {
                let per_block = 256 / S::GROUP;
                for b in 0..groups / per_block {
                    let mut block = [[_mm512_setzero_ps(); 2]; T];
                    for g in b * per_block..(b + 1) * per_block {
                        add_group::<S, T>(panel, x, g, &mut block);
                    }
                    for t in 0..T {
                        let x_scale = _mm512_set1_ps(pair_at::<S, T>(x, t, b * per_block)[0]);
                        for h in 0..2 {
                            acc[t][h] = _mm512_fmadd_ps(block[t][h], x_scale, acc[t][h]);
                        }
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

/// Adds the products of group `g`; those with [`Block::B256`] are yet to be scaled by the
/// activations' scale.
///
/// # Safety
/// As [`codes`], which has checked the lengths.
#[inline(always)]
unsafe fn add_group<S: Shape, const T: usize>(
    panel: &Panel,
    x: Codes<'_>,
    g: usize,
    acc: &mut [[__m512; 2]; T],
) {
    // SAFETY: as asked.
    unsafe {
        // Starting at -offset · Σ activations takes the offset off exactly.
        let mut dot = [[_mm512_setzero_si512(); 2]; T];
        if !S::MINS {
            let factors = _mm512_set1_epi32(start_factors::<S>(panel.zero as i16, g));
            for (t, dot) in dot.iter_mut().enumerate() {
                let sums = _mm512_set1_epi32(sums_at::<S, T>(x, t, g));
                *dot = [_mm512_madd_epi16(sums, factors); 2];
            }
        }
        let codes = panel.elements().as_ptr().add(g * S::GROUP * CODE_ROWS);
        let values = x.codes.as_ptr().add(g * S::GROUP * T);
        for i in 0..S::GROUP / 4 {
            let at = codes.add(4 * CODE_ROWS * i);
            let rows = [_mm512_loadu_si512(at.cast()), _mm512_loadu_si512(at.add(64).cast())];
            for (t, dot) in dot.iter_mut().enumerate() {
                let at = values.add(4 * (T * i + t));
                let x = _mm512_set1_epi32(at.cast::<i32>().read_unaligned());
                dot[0] = _mm512_dpbusd_epi32(dot[0], rows[0], x);
                dot[1] = _mm512_dpbusd_epi32(dot[1], rows[1], x);
            }
        }
        let scales = load_rows(&panel.scales, g);
        for t in 0..T {
            let x_scale = _mm512_set1_ps(pair_at::<S, T>(x, t, g)[0]);
            for h in 0..2 {
                let scale = match S::ACTIVATIONS {
                    Block::B32 => _mm512_mul_ps(scales[h], x_scale),
                    Block::B256 => scales[h],
                };
                acc[t][h] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[t][h]), scale, acc[t][h]);
            }
        }
        if S::MINS {
            let mins = load_rows(&panel.mins, g);
            for (t, acc) in acc.iter_mut().enumerate() {
                let sum = _mm512_set1_ps(sum_at::<S, T>(x, t, g));
                for h in 0..2 {
                    acc[h] = _mm512_fmadd_ps(mins[h], sum, acc[h]);
                }
            }
        }
    }
}

/// The values of all rows for group `g`.
#[inline(always)]
unsafe fn load_rows(data: &[f32], g: usize) -> [__m512; 2] {
    // SAFETY: `codes` has checked the lengths.
    unsafe {
        let at = data.as_ptr().add(g * CODE_ROWS);
        [_mm512_loadu_ps(at), _mm512_loadu_ps(at.add(16))]
    }
}

/// What takes an offset off: two 16-bit factors for the sums of 16 activations each at
/// [`sums_at`], whose products make the start of group `g`'s sum.
#[inline(always)]
pub(super) fn start_factors<S: Shape>(offset: i16, g: usize) -> i32 {
    let factor = u32::from((-offset).cast_unsigned());
    let factors = match (S::GROUP, g % 2) {
        (32, _) => factor << 16 | factor,
        (_, 0) => factor,
        _ => factor << 16,
    };
    factors as i32
}

/// The pair of the 32 activations in or around group `g` of column `t` of `T`.
///
/// # Safety
/// Within the lengths of `x`, which is interleaved.
#[inline(always)]
pub(super) unsafe fn pair_at<S: Shape, const T: usize>(
    x: Codes<'_>,
    t: usize,
    g: usize,
) -> [f32; 2] {
    // SAFETY: as asked.
    unsafe { x.pairs.as_ptr().add(g * S::GROUP / 32 * T + t).read() }
}

/// The two sums of these 32 activations.
///
/// # Safety
/// As [`pair_at`].
#[inline(always)]
pub(super) unsafe fn sums_at<S: Shape, const T: usize>(x: Codes<'_>, t: usize, g: usize) -> i32 {
    // SAFETY: as asked.
    unsafe { x.sums.as_ptr().cast::<i32>().add(g * S::GROUP / 32 * T + t).read_unaligned() }
}

/// What a min of group `g` is multiplied with for column `t` of `T`: the sum of the activations, with
/// [`Block::B32`] times their scale.
///
/// # Safety
/// As [`pair_at`].
#[inline(always)]
pub(super) unsafe fn sum_at<S: Shape, const T: usize>(x: Codes<'_>, t: usize, g: usize) -> f32 {
    // SAFETY: as asked.
    unsafe {
        if S::GROUP == 32 {
            return pair_at::<S, T>(x, t, g)[1];
        }
        let at = (g * S::GROUP / 32 * T + t) * 2 + g % 2;
        let sum = f32::from(x.sums.as_ptr().add(at).read());
        match S::ACTIVATIONS {
            Block::B32 => pair_at::<S, T>(x, t, g)[0] * sum,
            Block::B256 => sum,
        }
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
            let at = weights.add(k * FLOAT_ROWS);
            let rows = [_mm512_loadu_ps(at), _mm512_loadu_ps(at.add(16))];
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

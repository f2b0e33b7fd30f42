//! Products with BF16 weights, AVX512-BF16: from two columns on, activations are rounded to BF16 too,
//! and pairs of products added at once. Subnormal values count as zero.

use std::arch::x86_64::*;
use std::array::from_fn;
use std::mem::transmute;

use quant::TensorType;

use super::super::formats::float::{Bf16, F32};
use super::super::kernels::{DIRECT_ROWS, FloatKernels, Floats, Strip, Tile};
use super::super::panel::{self, Panel};
use super::primitives::Avx2;
use super::{interleave, zmm_vnni};
use crate::simd::x86::follow;

/// Rows of a panel: two registers of 16 rows.
const ROWS: usize = 32;
/// Columns that pay for a panel, measured.
const COLS: usize = 8;

const F32_PRODUCTS: FloatKernels = zmm_vnni::float_kernels::<Bf16>();

pub(super) const KERNELS: FloatKernels = FloatKernels {
    ty: TensorType::BF16,
    panel_rows: ROWS,
    panel_cols: COLS,
    unpack,
    tile: [tile::<1>, tile::<2>, tile::<3>, tile::<4>, tile::<5>, tile::<6>],
    // With one column, rounding it for every row would take longer than multiplying `f32`.
    direct: [F32_PRODUCTS.direct[0], direct::<2>, direct::<3>, direct::<4>],
};

/// Pairs of values are the elements of a panel, `[cols / 2][ROWS]`; nothing is converted.
#[target_feature(enable = "avx2,f16c,avx512f")]
fn unpack(rows: &[u8], n_rows: usize, cols: usize, panel: &mut Panel) {
    let padded: Vec<u8>;
    let rows = if cols.is_multiple_of(2) {
        rows
    } else {
        padded = rows.chunks_exact(2 * cols).flat_map(|row| [row, &[0, 0]].concat()).collect();
        &padded
    };
    // SAFETY: this function's features are enough.
    let p = unsafe { Avx2::new() };
    panel::unpack_floats::<F32, ROWS>(p, rows, n_rows, cols.div_ceil(2), panel, |step, out| {
        // SAFETY: as above.
        unsafe { interleave::avx512(step, out) }
    });
}

/// A panel times `T` columns.
#[target_feature(enable = "avx512f,avx512bf16")]
fn tile<const T: usize>(panel: &Panel, x: Floats<'_>, out: &mut Tile) {
    /// Values that are rounded at a time.
    const PART: usize = 256;
    assert!(panel.elements().len() >= x.cols.div_ceil(2) * ROWS * 4);
    let mut rounded = [[bf16(_mm512_setzero_si512()); PART / 32]; T];
    let mut acc = [[_mm512_setzero_ps(); 2]; T];
    for start in (0..x.cols).step_by(PART) {
        let len = PART.min(x.cols - start);
        for (t, rounded) in rounded.iter_mut().enumerate() {
            let values = x.data[t * x.stride + start..][..len].chunks(32);
            for (rounded, values) in rounded.iter_mut().zip(values) {
                *rounded = round(values);
            }
        }
        let elements = panel.elements()[start / 2 * ROWS * 4..].chunks_exact(ROWS * 4);
        for (k, rows) in elements.take(len.div_ceil(2)).enumerate() {
            // SAFETY: an element has 128 bytes.
            let rows = unsafe {
                let at = rows.as_ptr();
                [_mm512_loadu_si512(at.cast()), _mm512_loadu_si512(at.add(64).cast())]
            };
            for (acc, rounded) in acc.iter_mut().zip(&rounded) {
                // SAFETY: pair `k` is among those rounded.
                let pair = unsafe { rounded.as_ptr().cast::<i32>().add(k).read() };
                let x = bf16(_mm512_set1_epi32(pair));
                acc[0] = _mm512_dpbf16_ps(acc[0], bf16(rows[0]), x);
                acc[1] = _mm512_dpbf16_ps(acc[1], bf16(rows[1]), x);
            }
        }
    }
    for (acc, out) in acc.iter().zip(out) {
        // SAFETY: a column of a tile has 32 values.
        unsafe {
            _mm512_storeu_ps(out.as_mut_ptr(), acc[0]);
            _mm512_storeu_ps(out.as_mut_ptr().add(16), acc[1]);
        }
    }
}

/// `n_rows` rows times `T` columns; some rows at a time share the rounding of activations.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn direct<const T: usize>(rows: &[u8], n_rows: usize, x: Floats<'_>, out: &mut Strip) {
    const SHARING: usize = 4;
    assert!(n_rows <= DIRECT_ROWS && rows.len() == n_rows * x.cols * 2);
    let whole = n_rows / SHARING * SHARING;
    for r in (0..whole).step_by(SHARING) {
        some_rows::<SHARING, T>(rows, r, x, out);
    }
    for r in whole..n_rows {
        some_rows::<1, T>(rows, r, x, out);
    }
}

/// `R` rows from `first`. Sums of a row and a column are independent of the others.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn some_rows<const R: usize, const T: usize>(
    rows: &[u8],
    first: usize,
    x: Floats<'_>,
    out: &mut Strip,
) {
    let rows: [&[u8]; R] = from_fn(|r| &rows[(first + r) * x.cols * 2..][..x.cols * 2]);
    let columns: [&[f32]; T] = from_fn(|t| &x.data[t * x.stride..][..x.cols]);
    let mut acc = [[_mm512_setzero_ps(); T]; R];
    let whole = x.cols / 32 * 32;
    for k in (0..whole).step_by(32) {
        add(&mut acc, rows, columns, k, 32);
    }
    add(&mut acc, rows, columns, whole, x.cols - whole);
    for (t, out) in out.iter_mut().enumerate().take(T) {
        for (r, out) in out[first..][..R].iter_mut().enumerate() {
            *out = _mm512_reduce_add_ps(acc[r][t]);
        }
    }
}

/// Adds the products of `len <= 32` values from `k`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn add<const R: usize, const T: usize>(
    acc: &mut [[__m512; T]; R],
    rows: [&[u8]; R],
    columns: [&[f32]; T],
    k: usize,
    len: usize,
) {
    let mut values = [bf16(_mm512_setzero_si512()); T];
    for (values, column) in values.iter_mut().zip(columns) {
        *values = round(&column[k..][..len]);
    }
    for (acc, row) in acc.iter_mut().zip(rows) {
        let row = &row[2 * k..][..2 * len];
        follow(row.as_ptr(), 64);
        // SAFETY: only as many values are loaded as there are.
        let weights = unsafe { _mm512_maskz_loadu_epi16(first(len), row.as_ptr().cast()) };
        for (acc, values) in acc.iter_mut().zip(values) {
            *acc = _mm512_dpbf16_ps(*acc, bf16(weights), values);
        }
    }
}

/// Up to 32 values to nearest even; zeros for the others.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn round(values: &[f32]) -> __m512bh {
    let (some, at) = (first(values.len()), values.as_ptr());
    // SAFETY: only as many values are loaded as there are.
    unsafe {
        let low = _mm512_maskz_loadu_ps(some as u16, at);
        let high = _mm512_maskz_loadu_ps((some >> 16) as u16, at.wrapping_add(16));
        _mm512_cvtne2ps_pbh(high, low)
    }
}

/// A bit for each of the first `n` of 32 values.
fn first(n: usize) -> u32 {
    u32::MAX.unbounded_shr(32 - n as u32)
}

/// Any bits as BF16 values.
#[inline]
#[target_feature(enable = "avx512f")]
fn bf16(bits: __m512i) -> __m512bh {
    // SAFETY: registers of the same size without invalid values.
    unsafe { transmute(bits) }
}

//! Portable kernels. One function does for all numbers of columns: here it counts to be small.

use super::activation::{self, Codes};
use super::formats::{FloatFormat, Format, Portable, float, grid, kquant, legacy, table, ternary};
use super::kernels::{
    CodeKernels, DIRECT_COLS, DIRECT_ROWS, FloatKernels, Floats, Kernels, Strip, TILE_COLS,
    TILE_ROWS, Tile, TileCodes,
};
use super::panel::{self, Panel};

/// Rows of a panel: nothing is gained from interleaving here.
const ROWS: usize = 1;
/// Columns that pay for unpacking first.
const COLS: usize = 5;

/// The table of portable kernels.
pub(super) static KERNELS: Kernels = Kernels {
    quantize: activation::quantize_row,
    codes: &[
        codes::<legacy::Q4_0>(),
        codes::<legacy::Q4_1>(),
        codes::<legacy::Q5_0>(),
        codes::<legacy::Q5_1>(),
        codes::<legacy::Q8_0>(),
        codes::<kquant::Q2K>(),
        codes::<kquant::Q3K>(),
        codes::<kquant::Q4K>(),
        codes::<kquant::Q5K>(),
        codes::<kquant::Q6K>(),
        codes::<table::Iq4Nl>(),
        codes::<table::Iq4Xs>(),
        codes::<table::Mxfp4>(),
        codes::<table::Nvfp4>(),
        codes::<grid::Iq1S>(),
        codes::<grid::Iq1M>(),
        codes::<grid::Iq2Xxs>(),
        codes::<grid::Iq2Xs>(),
        codes::<grid::Iq2S>(),
        codes::<grid::Iq3Xxs>(),
        codes::<grid::Iq3S>(),
        codes::<ternary::Q1_0>(),
        codes::<ternary::Q2_0>(),
        codes::<ternary::Tq1_0>(),
        codes::<ternary::Tq2_0>(),
    ],
    floats: &[floats::<float::F32>(), floats::<float::F16>(), floats::<float::Bf16>()],
};

const fn codes<F: Format>() -> CodeKernels {
    CodeKernels {
        ty: F::TY,
        activations: F::ACTIVATIONS,
        by_fours: false,
        interleaved: false,
        panel_rows: ROWS,
        panel_cols: COLS,
        unpack: |rows, n_rows, cols, panel| {
            panel::unpack::<F, ROWS>(Portable, rows, n_rows, cols, panel, panel::interleave)
        },
        tile: match (F::GROUP, F::MINS) {
            (16, false) => tiles::<16, false>(),
            (16, true) => tiles::<16, true>(),
            (_, false) => tiles::<32, false>(),
            (_, true) => tiles::<32, true>(),
        },
        direct: [direct::<F, 1>, direct::<F, 2>, direct::<F, 3>, direct::<F, 4>],
    }
}

const fn floats<F: FloatFormat>() -> FloatKernels {
    FloatKernels {
        ty: F::TY,
        panel_rows: ROWS,
        panel_cols: COLS,
        unpack: |rows, n_rows, cols, panel| {
            panel::unpack_floats::<F, ROWS>(Portable, rows, n_rows, cols, panel, panel::interleave)
        },
        tile: [
            float_tile::<1>,
            float_tile::<2>,
            float_tile::<3>,
            float_tile::<4>,
            float_tile::<5>,
            float_tile::<TILE_COLS>,
        ],
        direct: [
            float_direct::<F, 1>,
            float_direct::<F, 2>,
            float_direct::<F, 3>,
            float_direct::<F, 4>,
        ],
    }
}

/// Those of panels of groups of that size, with mins or without.
const fn tiles<const GROUP: usize, const MINS: bool>() -> [TileCodes; TILE_COLS] {
    [
        tile::<GROUP, MINS, 1>,
        tile::<GROUP, MINS, 2>,
        tile::<GROUP, MINS, 3>,
        tile::<GROUP, MINS, 4>,
        tile::<GROUP, MINS, 5>,
        tile::<GROUP, MINS, TILE_COLS>,
    ]
}

fn tile<const GROUP: usize, const MINS: bool, const T: usize>(
    panel: &Panel,
    x: Codes<'_>,
    out: &mut Tile,
) {
    tile_columns::<GROUP, MINS>(panel, x, &mut out[..T]);
}

#[inline(never)]
fn tile_columns<const GROUP: usize, const MINS: bool>(
    panel: &Panel,
    x: Codes<'_>,
    out: &mut [[f32; TILE_ROWS]],
) {
    for (t, out) in out.iter_mut().enumerate() {
        out[0] = 0.0;
        let x_codes = x.codes[t * x.cols..][..x.cols].chunks_exact(GROUP);
        let groups = panel.elements().chunks_exact(GROUP).zip(x_codes);
        for (group, (codes, x_codes)) in groups.enumerate() {
            let (scale, sum) = group_scale(x, t, group, GROUP);
            let dot = group_dot(codes, x_codes, panel.zero as u8);
            out[0] += dot as f32 * (panel.scales[group] * scale);
            if MINS {
                out[0] += panel.mins[group] * sum;
            }
        }
    }
}

fn direct<F: Format, const T: usize>(rows: &[u8], n_rows: usize, x: Codes<'_>, out: &mut Strip) {
    direct_columns::<F>(rows, n_rows, x, &mut out[..T]);
}

/// Unpacks block after block and multiplies it by all columns.
#[inline(never)]
fn direct_columns<F: Format>(
    rows: &[u8],
    n_rows: usize,
    x: Codes<'_>,
    out: &mut [[f32; DIRECT_ROWS]],
) {
    let row_bytes = x.cols / F::LEN * F::BYTES;
    assert!(n_rows <= DIRECT_ROWS && rows.len() == n_rows * row_bytes);
    let groups = F::LEN / F::GROUP;
    let (mut codes, mut scales, mut mins) = ([0; 256], [0.0; 16], [0.0; 16]);
    for (r, row) in rows.chunks_exact(row_bytes.max(1)).enumerate() {
        let mut acc = [0f32; DIRECT_COLS];
        for (b, block) in row.chunks_exact(F::BYTES).enumerate() {
            F::unpack(Portable, block, &mut codes, &mut scales, &mut mins);
            for (t, acc) in acc[..out.len()].iter_mut().enumerate() {
                let x_codes = &x.codes[t * x.cols + b * F::LEN..][..F::LEN];
                for g in 0..groups {
                    let (scale, sum) = group_scale(x, t, b * groups + g, F::GROUP);
                    let part = g * F::GROUP..(g + 1) * F::GROUP;
                    let dot = group_dot(&codes[part.clone()], &x_codes[part], F::OFFSET);
                    *acc += dot as f32 * (scales[g] * scale);
                    if F::MINS {
                        *acc += mins[g] * sum;
                    }
                }
            }
        }
        for (out, acc) in out.iter_mut().zip(acc) {
            out[r] = acc;
        }
    }
}

/// Scale of a group of `len` values of column `t`, and scale times sum of its codes.
#[inline(always)]
fn group_scale(x: Codes<'_>, t: usize, group: usize, len: usize) -> (f32, f32) {
    let first = t * x.cols + group * len;
    let [scale, sum] = x.pairs[first / 32];
    if len == 32 { (scale, sum) } else { (scale, scale * f32::from(x.sums[first / 16])) }
}

#[inline(always)]
fn group_dot(codes: &[u8], x: &[i8], offset: u8) -> i32 {
    let term = |(&code, &x): (&u8, &i8)| (i32::from(code) - i32::from(offset)) * i32::from(x);
    codes.iter().zip(x).map(term).sum()
}

fn float_tile<const T: usize>(panel: &Panel, x: Floats<'_>, out: &mut Tile) {
    for (t, out) in out.iter_mut().enumerate().take(T) {
        let x = &x.data[t * x.stride..][..x.cols];
        let weights = panel.elements().as_chunks().0;
        out[0] = x.iter().zip(weights).map(|(x, &w)| x * f32::from_ne_bytes(w)).sum();
    }
}

fn float_direct<F: FloatFormat, const T: usize>(
    rows: &[u8],
    n_rows: usize,
    x: Floats<'_>,
    out: &mut Strip,
) {
    assert!(n_rows <= DIRECT_ROWS && rows.len() == n_rows * x.cols * F::BYTES);
    for (t, out) in out.iter_mut().enumerate().take(T) {
        let x = &x.data[t * x.stride..][..x.cols];
        for (row, out) in rows.chunks_exact((x.len() * F::BYTES).max(1)).zip(out) {
            *out = row.chunks_exact(F::BYTES).zip(x).map(|(w, x)| F::value(Portable, w) * x).sum();
        }
    }
}

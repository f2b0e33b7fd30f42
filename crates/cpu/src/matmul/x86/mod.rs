//! Kernels for x86-64.
//!
//! Each file has bodies, generic and `#[inline(always)]`, which become code where a function with
//! the instruction set's `#[target_feature]` calls them.

mod avx2_tile;
mod avx512_bf16;
mod avx512_blocks;
mod avx512_codebook;
mod avx512_grid;
mod avx512_legacy;
mod avx512_nvfp4;
mod avx512_ternary;
mod avx512_tile;
mod avx_vnni_tile;
mod columns;
mod direct_kquant;
mod direct_legacy;
mod direct_unpacked;
mod dot;
mod interleave;
mod primitives;
mod shape;
mod streams;
mod whole_tile;
mod wide;

use super::activation::{Block, Codes, CodesMut, quantize_row};
use super::direct_float;
use super::formats::{FloatFormat, Format, float, grid, kquant, legacy, table, ternary};
use super::kernels::{
    CodeKernels, DIRECT_COLS, DirectCodes, FloatKernels, Floats, Kernels, Strip, TILE_COLS, Tile,
    TileCodes, Unpack,
};
use super::panel::{self, Panel, Step};
use crate::simd::x86 as simd;
#[cfg(debug_assertions)]
use avx_vnni_tile::evex_tile;
use avx_vnni_tile::vex_tile;
use columns::Columns;
use primitives::Avx2;
use shape::{Known, Shape};

/// The functions that take no dot products of codes: instruction sets that differ by these only share
/// them.
macro_rules! width {
    ($module:ident, $features:literal, $simd:ty, $lanes:ty, $codes_tile:ident, $float_tile:ident) => {
        mod $module {
            use super::*;

            /// Rows of a panel of codes, and of floats.
            pub(super) const CODE_ROWS: usize = super::$codes_tile::CODE_ROWS;
            pub(super) const FLOAT_ROWS: usize = super::$float_tile::FLOAT_ROWS;

            #[target_feature(enable = $features)]
            pub(super) fn quantize(x: &[f32], block: Block, out: CodesMut<'_>) {
                quantize_row(x, block, out);
            }

            #[target_feature(enable = $features)]
            pub(super) fn unpack<F: Format>(
                rows: &[u8],
                n_rows: usize,
                cols: usize,
                panel: &mut Panel,
            ) {
                let interleave = |step: &Step<CODE_ROWS>, out: &mut [u8]| {
                    // SAFETY: this function's features are enough.
                    unsafe { super::$codes_tile::interleave(step, out) }
                };
                // SAFETY: as above.
                let p = unsafe { Avx2::new() };
                panel::unpack::<F, CODE_ROWS>(p, rows, n_rows, cols, panel, interleave);
            }

            #[target_feature(enable = $features)]
            pub(super) fn unpack_columns<F: Columns>(
                rows: &[u8],
                n_rows: usize,
                cols: usize,
                panel: &mut Panel,
            ) {
                // SAFETY: this function's features are enough.
                unsafe {
                    let lanes = <$lanes>::new();
                    columns::unpack::<F, _, CODE_ROWS>(lanes, rows, n_rows, cols, panel);
                }
            }

            #[target_feature(enable = $features)]
            pub(super) fn unpack_floats<F: FloatFormat>(
                rows: &[u8],
                n_rows: usize,
                cols: usize,
                panel: &mut Panel,
            ) {
                let interleave = |step: &Step<FLOAT_ROWS>, out: &mut [u8]| {
                    // SAFETY: this function's features are enough.
                    unsafe { super::$float_tile::interleave(step, out) }
                };
                // SAFETY: as above.
                let p = unsafe { Avx2::new() };
                panel::unpack_floats::<F, FLOAT_ROWS>(p, rows, n_rows, cols, panel, interleave);
            }

            #[target_feature(enable = $features)]
            pub(super) fn float_tile<const T: usize>(panel: &Panel, x: Floats<'_>, out: &mut Tile) {
                // SAFETY: this function's features are enough.
                unsafe { super::$float_tile::floats::<T>(panel, x, out) }
            }

            #[target_feature(enable = $features)]
            pub(super) fn float_direct<F: FloatFormat, const T: usize>(
                rows: &[u8],
                n_rows: usize,
                x: Floats<'_>,
                out: &mut Strip,
            ) {
                // SAFETY: this function's features are enough.
                let s = unsafe { <$simd>::new() };
                direct_float::direct::<F, _, T>(s, rows, n_rows, x, out);
            }

            pub(super) const fn float_kernels<F: FloatFormat>() -> FloatKernels {
                FloatKernels {
                    ty: F::TY,
                    panel_rows: FLOAT_ROWS,
                    panel_cols: super::$float_tile::FLOAT_COLS,
                    unpack: unpack_floats::<F>,
                    tile: [
                        float_tile::<1>,
                        float_tile::<2>,
                        float_tile::<3>,
                        float_tile::<4>,
                        float_tile::<5>,
                        float_tile::<6>,
                    ],
                    direct: [
                        float_direct::<F, 1>,
                        float_direct::<F, 2>,
                        float_direct::<F, 3>,
                        float_direct::<F, 4>,
                    ],
                }
            }
        }
    };
}

/// The functions that take dot products of codes, for one kind of these.
macro_rules! instruction_set {
    ($module:ident, $features:literal, $width:ident, $dot:ty, $codes_tile:ident, $legacy:ident, $unpacked:ident) => {
        mod $module {
            use super::$width::{CODE_ROWS, float_kernels, quantize, unpack, unpack_columns};
            use super::*;

            #[target_feature(enable = $features)]
            pub(super) fn tile<S: Shape, const T: usize>(
                panel: &Panel,
                x: Codes<'_>,
                out: &mut Tile,
            ) {
                // SAFETY: this function's features are enough.
                unsafe { super::$codes_tile::codes::<S, T>(panel, x, out) }
            }

            #[target_feature(enable = $features)]
            pub(super) fn legacy<F: $legacy::Blocks, const T: usize>(
                rows: &[u8],
                n_rows: usize,
                x: Codes<'_>,
                out: &mut Strip,
            ) {
                // SAFETY: this function's features are enough.
                unsafe { $legacy::direct::<F, $dot, T>(rows, n_rows, x, out) }
            }

            #[target_feature(enable = $features)]
            pub(super) fn kquant<F: direct_kquant::Blocks, const T: usize>(
                rows: &[u8],
                n_rows: usize,
                x: Codes<'_>,
                out: &mut Strip,
            ) {
                // SAFETY: this function's features are enough.
                unsafe { direct_kquant::direct::<F, $dot, T>(rows, n_rows, x, out) }
            }

            #[target_feature(enable = $features)]
            pub(super) fn unpacked<F: $unpacked::Blocks, const T: usize>(
                rows: &[u8],
                n_rows: usize,
                x: Codes<'_>,
                out: &mut Strip,
            ) {
                // SAFETY: this function's features are enough.
                unsafe { $unpacked::direct::<F, $dot, T>(rows, n_rows, x, out) }
            }

            /// The tile kernels of a format, by its [`Shape`].
            const fn tiles<F: Format>() -> [TileCodes; TILE_COLS] {
                match F::GROUP {
                    16 => with_mins::<F, 16>(),
                    _ => with_mins::<F, 32>(),
                }
            }

            const fn with_mins<F: Format, const GROUP: usize>() -> [TileCodes; TILE_COLS] {
                match F::MINS {
                    false => with_block::<F, GROUP, false>(),
                    true => with_block::<F, GROUP, true>(),
                }
            }

            const fn with_block<F: Format, const GROUP: usize, const MINS: bool>()
            -> [TileCodes; TILE_COLS] {
                match super::$codes_tile::activations::<F>() {
                    Block::B32 => with_bits::<F, GROUP, MINS, false>(),
                    Block::B256 => with_bits::<F, GROUP, MINS, true>(),
                }
            }

            const fn with_bits<
                F: Format,
                const GROUP: usize,
                const MINS: bool,
                const B256: bool,
            >() -> [TileCodes; TILE_COLS] {
                match super::$codes_tile::bits::<F>() {
                    ..=4 => of_shape::<Known<GROUP, MINS, B256, 4>>(),
                    5 => of_shape::<Known<GROUP, MINS, B256, 5>>(),
                    6 => of_shape::<Known<GROUP, MINS, B256, 6>>(),
                    7 => of_shape::<Known<GROUP, MINS, B256, 7>>(),
                    _ => of_shape::<Known<GROUP, MINS, B256, 8>>(),
                }
            }

            const fn of_shape<S: Shape>() -> [TileCodes; TILE_COLS] {
                [tile::<S, 1>, tile::<S, 2>, tile::<S, 3>, tile::<S, 4>, tile::<S, 5>, tile::<S, 6>]
            }

            const fn code_kernels<F: Format>(
                unpack: Unpack,
                direct: [DirectCodes; DIRECT_COLS],
            ) -> CodeKernels {
                CodeKernels {
                    ty: F::TY,
                    activations: F::ACTIVATIONS,
                    by_fours: false,
                    interleaved: true,
                    panel_rows: CODE_ROWS,
                    panel_cols: super::$codes_tile::CODE_COLS,
                    unpack,
                    tile: tiles::<F>(),
                    direct,
                }
            }

            const fn legacy_kernels<F: $legacy::Blocks + Columns>() -> CodeKernels {
                let direct = [legacy::<F, 1>, legacy::<F, 2>, legacy::<F, 3>, legacy::<F, 4>];
                code_kernels::<F>(unpack_columns::<F>, direct)
            }

            const fn kquant_kernels<F: direct_kquant::Blocks + Columns>() -> CodeKernels {
                let direct = [kquant::<F, 1>, kquant::<F, 2>, kquant::<F, 3>, kquant::<F, 4>];
                code_kernels::<F>(unpack_columns::<F>, direct)
            }

            const fn unpacked_kernels<F: Format + $unpacked::Blocks>() -> CodeKernels {
                let direct =
                    [unpacked::<F, 1>, unpacked::<F, 2>, unpacked::<F, 3>, unpacked::<F, 4>];
                code_kernels::<F>(unpack::<F>, direct)
            }

            pub(in super::super) static KERNELS: Kernels = Kernels {
                quantize,
                codes: &[
                    legacy_kernels::<super::legacy::Q4_0>(),
                    legacy_kernels::<super::legacy::Q4_1>(),
                    legacy_kernels::<super::legacy::Q5_0>(),
                    legacy_kernels::<super::legacy::Q5_1>(),
                    legacy_kernels::<super::legacy::Q8_0>(),
                    kquant_kernels::<super::kquant::Q2K>(),
                    kquant_kernels::<super::kquant::Q3K>(),
                    kquant_kernels::<super::kquant::Q4K>(),
                    kquant_kernels::<super::kquant::Q5K>(),
                    kquant_kernels::<super::kquant::Q6K>(),
                    legacy_kernels::<table::Iq4Nl>(),
                    kquant_kernels::<table::Iq4Xs>(),
                    legacy_kernels::<table::Mxfp4>(),
                    unpacked_kernels::<table::Nvfp4>(),
                    unpacked_kernels::<grid::Iq1S>(),
                    unpacked_kernels::<grid::Iq1M>(),
                    unpacked_kernels::<grid::Iq2Xxs>(),
                    unpacked_kernels::<grid::Iq2Xs>(),
                    unpacked_kernels::<grid::Iq2S>(),
                    unpacked_kernels::<grid::Iq3Xxs>(),
                    unpacked_kernels::<grid::Iq3S>(),
                    unpacked_kernels::<ternary::Q1_0>(),
                    unpacked_kernels::<ternary::Q2_0>(),
                    unpacked_kernels::<ternary::Tq1_0>(),
                    unpacked_kernels::<ternary::Tq2_0>(),
                ],
                floats: &[
                    float_kernels::<float::F32>(),
                    float_kernels::<float::F16>(),
                    float_kernels::<float::Bf16>(),
                ],
            };
        }
    };
}

width!(ymm, "avx2,fma,f16c", simd::Avx2, columns::Ymm, avx2_tile, avx2_tile);
width!(
    zmm,
    "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl",
    simd::Avx512<false>,
    columns::Ymm,
    avx2_tile,
    avx512_tile
);
width!(
    zmm_vnni,
    "avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512dq,avx512vl",
    simd::Avx512<false>,
    columns::Zmm,
    avx512_tile,
    avx512_tile
);

instruction_set!(
    avx2,
    "avx2,fma,f16c",
    ymm,
    dot::Maddubs,
    avx2_tile,
    direct_legacy,
    direct_unpacked
);
instruction_set!(
    avx_vnni,
    "avx2,fma,f16c,avxvnni",
    ymm,
    dot::AvxVnni,
    vex_tile,
    direct_legacy,
    direct_unpacked
);
// Only for tests, where the processor has no AVX-VNNI.
#[cfg(debug_assertions)]
instruction_set!(
    avx_vnni_evex,
    "avx2,fma,f16c,avx512f,avx512vl,avx512vnni",
    ymm,
    dot::Vnni,
    evex_tile,
    direct_legacy,
    direct_unpacked
);
instruction_set!(
    avx512,
    "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl",
    zmm,
    dot::Maddubs,
    avx2_tile,
    direct_legacy,
    direct_unpacked
);
instruction_set!(
    avx512_vnni,
    "avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni",
    zmm_vnni,
    dot::Vnni,
    avx512_tile,
    avx512_legacy,
    avx512_blocks
);

pub(super) use avx2::KERNELS as AVX2;
pub(super) use avx512::KERNELS as AVX512;

/// The levels with 8-bit dot products multiply whole blocks where a type has such.
macro_rules! with_whole_blocks {
    ($name:ident, $codes:ident, $module:ident) => {
        pub(super) static $name: Kernels = Kernels { codes: &$codes, ..$module::KERNELS };
        static $codes: [CodeKernels; $module::KERNELS.codes.len()] =
            whole_tile::$module::replace($module::KERNELS.codes);
    };
}

with_whole_blocks!(AVX512_VNNI, VNNI_CODES, avx512_vnni);
with_whole_blocks!(AVX_VNNI, AVX_VNNI_CODES, avx_vnni);
#[cfg(debug_assertions)]
with_whole_blocks!(AVX_VNNI_EVEX, AVX_VNNI_EVEX_CODES, avx_vnni_evex);

/// As [`AVX512_VNNI`] but for direct products with codebook types.
pub(super) static AVX512_VBMI: Kernels = Kernels { codes: &VBMI_CODES, ..AVX512_VNNI };
static VBMI_CODES: [CodeKernels; AVX512_VNNI.codes.len()] =
    avx512_codebook::replace(AVX512_VNNI.codes);

/// As [`AVX512_VBMI`] but for BF16.
pub(super) static AVX512_BF16: Kernels = Kernels {
    floats: &[
        zmm_vnni::float_kernels::<float::F32>(),
        zmm_vnni::float_kernels::<float::F16>(),
        avx512_bf16::KERNELS,
    ],
    ..AVX512_VBMI
};

/// The kernels of [`crate::isa::Isa::AvxVnni`], in the encoding that the processor has.
pub(super) fn avx_vnni() -> &'static Kernels {
    #[cfg(debug_assertions)]
    if !is_x86_feature_detected!("avxvnni") {
        return &AVX_VNNI_EVEX;
    }
    &AVX_VNNI
}

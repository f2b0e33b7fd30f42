//! Kernels for 64-bit ARM.
//!
//! NEON is part of the target. Bodies that take other instructions, of a [`dot::Dot`], are
//! generic and `#[inline(always)]`, and become code where a function with the instruction set's
//! `#[target_feature]` calls them.

mod direct_kquant;
mod direct_legacy;
mod direct_unpacked;
mod dot;
mod tile;

use std::arch::aarch64::*;

use super::activation::{Codes, quantize_row};
use super::direct_float;
use super::formats::{
    FloatFormat, Format, Primitives, float, grid, kquant, legacy, table, ternary,
};
use super::kernels::{
    CodeKernels, DIRECT_COLS, DirectCodes, FloatKernels, Floats, Kernels, Strip, TILE_COLS, Tile,
    TileCodes,
};
use super::panel::{self, Panel, Step};
use crate::isa::aarch64::vcvt_f32_f16;
use crate::simd::aarch64 as simd;
use dot::{Dot, Dotprod, I8mm, ROWS, Widening};

/// Columns that pay for a panel of codes, and of floats. Not measured: as on x86-64.
const CODE_COLS: usize = 6;
const FLOAT_COLS: usize = 8;

/// Converts a half float.
#[inline(always)]
fn half(bits: u16) -> f32 {
    // SAFETY: NEON is part of the target.
    unsafe { vgetq_lane_f32::<0>(vcvt_f32_f16(vdup_n_u16(bits))) }
}

/// Steps of unpacking in NEON's registers.
#[derive(Clone, Copy)]
struct Neon;

impl Primitives for Neon {
    #[inline(always)]
    fn half(self, bits: u16) -> f32 {
        half(bits)
    }

    #[inline(always)]
    fn lookup(self, table: &[u8; 16], nibbles: &[u8; 16], codes: &mut [u8; 32]) {
        // SAFETY: NEON is part of the target; arrays are as long as the registers.
        unsafe {
            let (table, nibbles) = (vld1q_u8(table.as_ptr()), vld1q_u8(nibbles.as_ptr()));
            let low = vqtbl1q_u8(table, vandq_u8(nibbles, vdupq_n_u8(15)));
            vst1q_u8(codes.as_mut_ptr(), low);
            let high = vqtbl1q_u8(table, vshrq_n_u8::<4>(nibbles));
            vst1q_u8(codes.as_mut_ptr().add(16), high);
        }
    }

    #[inline(always)]
    fn signed(self, magnitudes: [u64; 4], signs: u32, offset: u8, codes: &mut [u8; 32]) {
        let [a, b, c, d] = signs.to_le_bytes();
        let halves = [(&magnitudes[..2], a, b), (&magnitudes[2..], c, d)];
        for ((magnitudes, a, b), codes) in halves.into_iter().zip(codes.chunks_exact_mut(16)) {
            // SAFETY: NEON is part of the target; slices are as long as the registers.
            unsafe {
                let magnitudes = vreinterpretq_u8_u64(vld1q_u64(magnitudes.as_ptr()));
                let bits = vcombine_u8(vdup_n_u8(a), vdup_n_u8(b));
                let bit_of = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
                // All ones where a bit is set, which is -1.
                let negative = vtstq_u8(bits, bit_of);
                let values = vsubq_u8(veorq_u8(magnitudes, negative), negative);
                vst1q_u8(codes.as_mut_ptr(), vaddq_u8(values, vdupq_n_u8(offset)));
            }
        }
    }
}

fn unpack<F: Format, D: Dot>(rows: &[u8], n_rows: usize, cols: usize, panel: &mut Panel) {
    panel::unpack::<F, ROWS>(Neon, rows, n_rows, cols, panel, tile::interleave::<F, D>);
}

fn unpack_floats<F: FloatFormat>(rows: &[u8], n_rows: usize, cols: usize, panel: &mut Panel) {
    let interleave = |step: &Step<ROWS>, out: &mut [u8]| panel::interleave(step, out);
    panel::unpack_floats::<F, ROWS>(Neon, rows, n_rows, cols, panel, interleave);
}

fn float_direct<F: FloatFormat, const T: usize>(
    rows: &[u8],
    n_rows: usize,
    x: Floats<'_>,
    out: &mut Strip,
) {
    direct_float::direct::<F, _, T>(simd::NEON, rows, n_rows, x, out);
}

// There is no level for FMLAL, which multiplies half floats and sums in f32: it does four products as
// FMLA does, so tiles would not gain. Direct products would save converting the weights, half of
// their instructions, but activations would have to be rounded to half floats, which overflow, and
// memory limits them anyway. Arithmetic in half floats would lose sums.
const FLOATS: &[FloatKernels] =
    &[float_kernels::<float::F32>(), float_kernels::<float::F16>(), float_kernels::<float::Bf16>()];

const fn float_kernels<F: FloatFormat>() -> FloatKernels {
    FloatKernels {
        ty: F::TY,
        panel_rows: ROWS,
        panel_cols: FLOAT_COLS,
        unpack: unpack_floats::<F>,
        tile: [
            tile::floats::<1>,
            tile::floats::<2>,
            tile::floats::<3>,
            tile::floats::<4>,
            tile::floats::<5>,
            tile::floats::<6>,
        ],
        direct: [
            float_direct::<F, 1>,
            float_direct::<F, 2>,
            float_direct::<F, 3>,
            float_direct::<F, 4>,
        ],
    }
}

/// An instruction set's functions: the bodies compiled with its features.
macro_rules! instruction_set {
    ($module:ident, $features:literal, $dot:ty) => {
        mod $module {
            use super::*;

            #[target_feature(enable = $features)]
            fn tile<const GROUP: usize, const MINS: bool, const T: usize>(
                panel: &Panel,
                x: Codes<'_>,
                out: &mut Tile,
            ) {
                // SAFETY: this function's features are enough.
                unsafe { tile::codes::<$dot, GROUP, MINS, T>(panel, x, out) }
            }

            const fn tiles<const GROUP: usize, const MINS: bool>() -> [TileCodes; TILE_COLS] {
                [
                    tile::<GROUP, MINS, 1>,
                    tile::<GROUP, MINS, 2>,
                    tile::<GROUP, MINS, 3>,
                    tile::<GROUP, MINS, 4>,
                    tile::<GROUP, MINS, 5>,
                    tile::<GROUP, MINS, 6>,
                ]
            }

            #[target_feature(enable = $features)]
            fn legacy<F: direct_legacy::Blocks, const T: usize>(
                rows: &[u8],
                n_rows: usize,
                x: Codes<'_>,
                out: &mut Strip,
            ) {
                // SAFETY: this function's features are enough.
                unsafe { direct_legacy::direct::<F, $dot, T>(rows, n_rows, x, out) }
            }

            #[target_feature(enable = $features)]
            fn kquant<F: direct_kquant::Blocks, const T: usize>(
                rows: &[u8],
                n_rows: usize,
                x: Codes<'_>,
                out: &mut Strip,
            ) {
                // SAFETY: this function's features are enough.
                unsafe { direct_kquant::direct::<F, $dot, T>(rows, n_rows, x, out) }
            }

            #[target_feature(enable = $features)]
            fn unpacked<F: Format, const T: usize>(
                rows: &[u8],
                n_rows: usize,
                x: Codes<'_>,
                out: &mut Strip,
            ) {
                // SAFETY: this function's features are enough.
                unsafe { direct_unpacked::direct::<F, $dot, T>(rows, n_rows, x, out) }
            }

            const fn code_kernels<F: Format>(direct: [DirectCodes; DIRECT_COLS]) -> CodeKernels {
                CodeKernels {
                    ty: F::TY,
                    activations: F::ACTIVATIONS,
                    by_fours: false,
                    interleaved: false,
                    panel_rows: ROWS,
                    panel_cols: CODE_COLS,
                    unpack: unpack::<F, $dot>,
                    tile: match (F::GROUP, F::MINS) {
                        (16, false) => tiles::<16, false>(),
                        (16, true) => tiles::<16, true>(),
                        (_, false) => tiles::<32, false>(),
                        (_, true) => tiles::<32, true>(),
                    },
                    direct,
                }
            }

            const fn legacy_kernels<F: direct_legacy::Blocks>() -> CodeKernels {
                code_kernels::<F>([legacy::<F, 1>, legacy::<F, 2>, legacy::<F, 3>, legacy::<F, 4>])
            }

            const fn kquant_kernels<F: direct_kquant::Blocks>() -> CodeKernels {
                code_kernels::<F>([kquant::<F, 1>, kquant::<F, 2>, kquant::<F, 3>, kquant::<F, 4>])
            }

            /// For types without direct kernels of their own.
            const fn unpacked_kernels<F: Format>() -> CodeKernels {
                code_kernels::<F>([
                    unpacked::<F, 1>,
                    unpacked::<F, 2>,
                    unpacked::<F, 3>,
                    unpacked::<F, 4>,
                ])
            }

            pub(in super::super) static KERNELS: Kernels = Kernels {
                quantize: quantize_row,
                codes: &[
                    legacy_kernels::<super::legacy::Q4_0>(),
                    legacy_kernels::<super::legacy::Q4_1>(),
                    legacy_kernels::<super::legacy::Q5_0>(),
                    legacy_kernels::<super::legacy::Q5_1>(),
                    legacy_kernels::<super::legacy::Q8_0>(),
                    kquant_kernels::<super::kquant::Q4K>(),
                    kquant_kernels::<super::kquant::Q5K>(),
                    kquant_kernels::<super::kquant::Q6K>(),
                    unpacked_kernels::<super::kquant::Q2K>(),
                    unpacked_kernels::<super::kquant::Q3K>(),
                    unpacked_kernels::<super::table::Iq4Nl>(),
                    unpacked_kernels::<super::table::Iq4Xs>(),
                    unpacked_kernels::<super::table::Mxfp4>(),
                    unpacked_kernels::<super::table::Nvfp4>(),
                    unpacked_kernels::<super::grid::Iq1S>(),
                    unpacked_kernels::<super::grid::Iq1M>(),
                    unpacked_kernels::<super::grid::Iq2Xxs>(),
                    unpacked_kernels::<super::grid::Iq2Xs>(),
                    unpacked_kernels::<super::grid::Iq2S>(),
                    unpacked_kernels::<super::grid::Iq3Xxs>(),
                    unpacked_kernels::<super::grid::Iq3S>(),
                    unpacked_kernels::<super::ternary::Q1_0>(),
                    unpacked_kernels::<super::ternary::Q2_0>(),
                    unpacked_kernels::<super::ternary::Tq1_0>(),
                    unpacked_kernels::<super::ternary::Tq2_0>(),
                ],
                floats: FLOATS,
            };
        }
    };
}

instruction_set!(neon, "neon", Widening);
instruction_set!(dotprod, "neon,dotprod", Dotprod);
instruction_set!(i8mm, "neon,dotprod,i8mm", I8mm);

pub(super) use dotprod::KERNELS as DOTPROD;
pub(super) use i8mm::KERNELS as I8MM;
pub(super) use neon::KERNELS as NEON;

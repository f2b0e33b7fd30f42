//! Outer products of panels by 8-bit dot products in 256-bit registers, one module for each encoding
//! of the instruction.

use super::super::activation::Codes;
use super::super::kernels::Tile;
use super::super::panel::Panel;
use super::shape::Shape;
use super::{avx2_tile, avx512_tile, dot};

macro_rules! encoding {
    ($module:ident, $dot:ty) => {
        pub(super) mod $module {
            use super::*;
            pub(in super::super) use avx2_tile::{CODE_COLS, activations};
            pub(in super::super) use avx512_tile::bits;

            /// A panel of codes times `T` columns.
            ///
            /// # Safety
            /// Inlined where AVX2, FMA and the encoding are enabled.
            #[inline(always)]
            pub(in super::super) unsafe fn codes<S: Shape, const T: usize>(
                panel: &Panel,
                x: Codes<'_>,
                out: &mut Tile,
            ) {
                // SAFETY: as asked.
                unsafe { avx2_tile::codes_by::<S, $dot, T>(panel, x, out) }
            }
        }
    };
}

encoding!(vex_tile, dot::AvxVnni);
#[cfg(debug_assertions)]
encoding!(evex_tile, dot::Vnni);

//! The kernels of each type on each instruction set.

use quant::TensorType;

#[cfg(target_arch = "aarch64")]
use super::aarch64;
use super::activation::{Block, Codes, CodesMut};
use super::panel::Panel;
use super::scalar;
#[cfg(target_arch = "x86_64")]
use super::x86;
use crate::isa::Isa;

/// Most columns of a tile.
pub(super) const TILE_COLS: usize = 6;
/// Most rows of a tile.
pub(super) const TILE_ROWS: usize = 64;
/// Most columns of a direct product.
pub(super) const DIRECT_COLS: usize = 4;
/// Most rows of a direct product.
pub(super) const DIRECT_ROWS: usize = 256;

/// Results of a panel kernel, `[column][row]`.
pub(super) type Tile = [[f32; TILE_ROWS]; TILE_COLS];
/// Results of a direct kernel, `[column][row]`.
pub(super) type Strip = [[f32; DIRECT_ROWS]; DIRECT_COLS];

/// See [`CodeKernels::unpack`].
pub(super) type Unpack = unsafe fn(rows: &[u8], n_rows: usize, cols: usize, panel: &mut Panel);
/// See [`CodeKernels::tile`].
pub(super) type TileCodes = unsafe fn(panel: &Panel, x: Codes<'_>, out: &mut Tile);
/// See [`CodeKernels::direct`].
pub(super) type DirectCodes = unsafe fn(rows: &[u8], n_rows: usize, x: Codes<'_>, out: &mut Strip);
/// See [`FloatKernels::direct`].
pub(super) type DirectFloats =
    unsafe fn(rows: &[u8], n_rows: usize, x: Floats<'_>, out: &mut Strip);

/// Kernels of one instruction set. All pointers are only to be called where the processor has it.
pub(super) struct Kernels {
    /// Quantises a row of activations; lengths as for [`Codes`].
    pub quantize: unsafe fn(x: &[f32], block: Block, out: CodesMut<'_>),
    /// Types of integer codes.
    pub codes: &'static [CodeKernels],
    /// Float types.
    pub floats: &'static [FloatKernels],
}

/// Kernels of a packed integer type.
#[derive(Clone, Copy)]
pub(super) struct CodeKernels {
    /// The type.
    pub ty: TensorType,
    /// What the activations must be.
    pub activations: Block,
    /// Whether direct kernels take their codes by fours, see `activation`.
    pub by_fours: bool,
    /// Whether tile kernels take the columns of codes interleaved, see `activation`.
    pub interleaved: bool,
    /// Rows of a panel.
    pub panel_rows: usize,
    /// From this many columns on, panels are faster than direct products.
    pub panel_cols: usize,
    /// Unpacks up to `panel_rows` rows of `cols` values that fill `rows`.
    pub unpack: Unpack,
    /// Multiplies a panel by `index + 1` columns, the first ones of `x`.
    pub tile: [TileCodes; TILE_COLS],
    /// Multiplies `n_rows <= DIRECT_ROWS` rows that fill `rows` by `index + 1` columns.
    pub direct: [DirectCodes; DIRECT_COLS],
}

/// Columns of `f32` activations.
#[derive(Clone, Copy)]
pub(super) struct Floats<'a> {
    /// The columns' values, from the first of the first column.
    pub data: &'a [f32],
    /// Values per column.
    pub cols: usize,
    /// Distance from column to column.
    pub stride: usize,
}

/// Kernels of a float type.
#[derive(Clone, Copy)]
pub(super) struct FloatKernels {
    /// The type.
    pub ty: TensorType,
    /// Rows of a panel.
    pub panel_rows: usize,
    /// From this many columns on, panels are faster than direct products.
    pub panel_cols: usize,
    /// As in [`CodeKernels`].
    pub unpack: Unpack,
    /// As in [`CodeKernels`].
    pub tile: [unsafe fn(panel: &Panel, x: Floats<'_>, out: &mut Tile); TILE_COLS],
    /// As in [`CodeKernels`].
    pub direct: [DirectFloats; DIRECT_COLS],
}

/// The kernels of one type.
#[derive(Clone, Copy)]
pub(super) enum TypeKernels {
    /// A packed integer type.
    Codes(&'static CodeKernels),
    /// A float type.
    Floats(&'static FloatKernels),
}

impl Kernels {
    /// The kernels of an instruction set.
    ///
    /// # Panics
    /// Where the processor lacks it.
    pub(super) fn of(isa: Isa) -> &'static Kernels {
        assert!(isa.is_available(), "this processor has no {isa}");
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16 => &x86::AVX512_BF16,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vbmi => &x86::AVX512_VBMI,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => &x86::AVX512_VNNI,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => &x86::AVX512,
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => x86::avx_vnni(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => &x86::AVX2,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => &aarch64::NEON,
            #[cfg(target_arch = "aarch64")]
            Isa::Dotprod => &aarch64::DOTPROD,
            #[cfg(target_arch = "aarch64")]
            Isa::I8mm => &aarch64::I8MM,
            _ => &scalar::KERNELS,
        }
    }

    /// The kernels of a type; `None` where it can't be multiplied.
    pub(super) fn get(&'static self, ty: TensorType) -> Option<TypeKernels> {
        let codes = self.codes.iter().find(|row| row.ty == ty).map(TypeKernels::Codes);
        codes.or_else(|| self.floats.iter().find(|row| row.ty == ty).map(TypeKernels::Floats))
    }
}

/// Whether products with weights of this type are implemented.
pub fn supports(ty: TensorType) -> bool {
    scalar::KERNELS.get(ty).is_some()
}

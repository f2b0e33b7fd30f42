//! A wrong kernel on purpose, to test that it is found. Only with the feature `plant`, which no
//! shipped program has.

use std::sync::OnceLock;

use super::activation::Codes;
use super::kernels::{CodeKernels, FloatKernels, Floats, Strip, TILE_COLS, Tile, TypeKernels};
use super::panel::Panel;
use crate::kernel::Kernel;

/// Name of the environment variable that says which kernel of products is to be wrong.
const ENV: &str = "LLAMAFILE_PLANT";

/// The kernels that were replaced.
static ORIGINAL: OnceLock<TypeKernels> = OnceLock::new();

/// Wrong ones in place of a row of a table, where they are asked for.
pub(super) fn replace(kernel: Kernel, row: TypeKernels) -> TypeKernels {
    static ASKED: OnceLock<Option<String>> = OnceLock::new();
    static WRONG: OnceLock<TypeKernels> = OnceLock::new();
    let asked = ASKED.get_or_init(|| std::env::var(ENV).ok()).as_ref();
    if asked.is_none_or(|name| !name.eq_ignore_ascii_case(&kernel.to_string())) {
        return row;
    }
    ORIGINAL.get_or_init(|| row);
    *WRONG.get_or_init(|| match row {
        TypeKernels::Codes(row) => TypeKernels::Codes(Box::leak(Box::new(CodeKernels {
            tile: [
                code_tile::<1>,
                code_tile::<2>,
                code_tile::<3>,
                code_tile::<4>,
                code_tile::<5>,
                code_tile::<TILE_COLS>,
            ],
            direct: [code_direct::<1>, code_direct::<2>, code_direct::<3>, code_direct::<4>],
            ..*row
        }))),
        TypeKernels::Floats(row) => TypeKernels::Floats(Box::leak(Box::new(FloatKernels {
            tile: [
                float_tile::<1>,
                float_tile::<2>,
                float_tile::<3>,
                float_tile::<4>,
                float_tile::<5>,
                float_tile::<TILE_COLS>,
            ],
            direct: [float_direct::<1>, float_direct::<2>, float_direct::<3>, float_direct::<4>],
            ..*row
        }))),
    })
}

fn codes() -> &'static CodeKernels {
    match ORIGINAL.get() {
        Some(TypeKernels::Codes(row)) => row,
        _ => unreachable!("kernels of codes were replaced"),
    }
}

fn floats() -> &'static FloatKernels {
    match ORIGINAL.get() {
        Some(TypeKernels::Floats(row)) => row,
        _ => unreachable!("kernels of floats were replaced"),
    }
}

/// A little off, as one wrong code is.
fn spoil(value: &mut f32) {
    *value *= 1.0625;
}

/// # Safety
/// As the original.
unsafe fn code_tile<const T: usize>(panel: &Panel, x: Codes<'_>, out: &mut Tile) {
    // SAFETY: as promised.
    unsafe { (codes().tile[T - 1])(panel, x, out) };
    spoil(&mut out[T - 1][0]);
}

/// # Safety
/// As the original.
unsafe fn code_direct<const T: usize>(rows: &[u8], n_rows: usize, x: Codes<'_>, out: &mut Strip) {
    // SAFETY: as promised.
    unsafe { (codes().direct[T - 1])(rows, n_rows, x, out) };
    spoil(&mut out[T - 1][n_rows - 1]);
}

/// # Safety
/// As the original.
unsafe fn float_tile<const T: usize>(panel: &Panel, x: Floats<'_>, out: &mut Tile) {
    // SAFETY: as promised.
    unsafe { (floats().tile[T - 1])(panel, x, out) };
    spoil(&mut out[T - 1][0]);
}

/// # Safety
/// As the original.
unsafe fn float_direct<const T: usize>(rows: &[u8], n_rows: usize, x: Floats<'_>, out: &mut Strip) {
    // SAFETY: as promised.
    unsafe { (floats().direct[T - 1])(rows, n_rows, x, out) };
    spoil(&mut out[T - 1][n_rows - 1]);
}

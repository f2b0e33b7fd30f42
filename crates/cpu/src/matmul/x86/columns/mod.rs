//! Unpacking of several rows at once, a lane of a register for each: packed codes are interleaved
//! before they are taken apart, when they are few bytes, and scales of all rows are computed together.
//! For types whose blocks are bit fields; those with tables of vectors go by rows, see
//! [`super::super::panel::unpack`].

mod kquant;
mod lanes;
mod legacy;
mod table;

use super::super::formats::{Format, Whole};
use super::super::panel::{Panel, Parts};
use crate::simd::x86::fetch;
use lanes::Lanes;
pub(super) use lanes::{Ymm, Zmm};

/// A type that unpacks so.
pub(super) trait Columns: Format {
    /// Unpacks a block of each row: as [`Format::unpack`], to the bit.
    ///
    /// # Safety
    /// `rows` are blocks of this type, `out` has room for one of each row, and `L`'s instructions are
    /// enabled.
    unsafe fn unpack<L: Lanes>(rows: Rows<L>, out: Out<L>);
}

/// A type that unpacks so with one scale for each 256 values.
pub(super) trait WholeByColumns: Whole {
    /// Unpacks a block of each row.
    ///
    /// # Safety
    /// As [`Columns::unpack`].
    unsafe fn unpack_whole<L: Lanes>(rows: Rows<L>, out: Out<L>);
}

/// Blocks of [`Lanes::ROWS`] rows.
#[derive(Clone, Copy)]
pub(super) struct Rows<L> {
    lanes: L,
    first: *const u8,
    stride: usize,
}

impl<L: Lanes> Rows<L> {
    /// 16 bytes of each block.
    ///
    /// # Safety
    /// Blocks have these.
    #[inline(always)]
    unsafe fn quad(self, at: usize) -> [L::Words; 4] {
        // SAFETY: as asked.
        unsafe { self.lanes.quad(self.first.add(at), self.stride) }
    }

    /// 4 bytes of each block.
    ///
    /// # Safety
    /// As [`Rows::quad`].
    #[inline(always)]
    unsafe fn word(self, at: usize) -> L::Words {
        // SAFETY: as asked.
        unsafe { self.lanes.word(self.first.add(at), self.stride) }
    }

    /// What `value` makes of the first byte of each block.
    #[inline(always)]
    unsafe fn of_first(self, value: fn(u8) -> f32) -> L::Floats {
        // SAFETY: blocks are not empty.
        unsafe { self.lanes.of_bytes(self.first, self.stride, value) }
    }
}

/// Where the codes and factors of blocks go, within a panel of `panel_rows` rows.
#[derive(Clone, Copy)]
pub(super) struct Out<L> {
    lanes: L,
    panel_rows: usize,
    codes: *mut u8,
    scales: *mut f32,
    mins: *mut f32,
    min_codes: *mut [i16; 2],
}

impl<L: Lanes> Out<L> {
    /// Codes `4 i..4 i + 4` of each row.
    ///
    /// # Safety
    /// Blocks have these.
    #[inline(always)]
    unsafe fn codes(self, i: usize, codes: L::Words) {
        // SAFETY: as asked.
        unsafe { self.lanes.store(codes, self.codes.add(i * self.panel_rows * 4)) }
    }

    /// Behind these values.
    ///
    /// # Safety
    /// As [`Out::codes`].
    #[inline(always)]
    unsafe fn behind(self, values: usize) -> Self {
        // SAFETY: as asked.
        Self { codes: unsafe { self.codes.add(values * self.panel_rows) }, ..self }
    }

    /// The scale of group `g`.
    ///
    /// # Safety
    /// As [`Out::codes`].
    #[inline(always)]
    unsafe fn scale(self, g: usize, scale: L::Floats) {
        // SAFETY: as asked.
        unsafe { self.lanes.store_floats(scale, self.scales.add(g * self.panel_rows)) }
    }

    /// The min of group `g`.
    ///
    /// # Safety
    /// As [`Out::codes`].
    #[inline(always)]
    unsafe fn min(self, g: usize, min: L::Floats) {
        // SAFETY: as asked.
        unsafe { self.lanes.store_floats(min, self.mins.add(g * self.panel_rows)) }
    }

    /// The codes of two mins of 16 values each, pair `i` of the block.
    ///
    /// # Safety
    /// Panels of this type have them.
    #[inline(always)]
    unsafe fn min_codes(self, i: usize, codes: L::Words) {
        // SAFETY: as asked.
        unsafe { self.lanes.store(codes, self.min_codes.add(i * self.panel_rows).cast()) }
    }
}

/// Unpacks `n_rows <= R` rows of `cols` values that fill `rows`.
///
/// # Safety
/// Inlined where `L`'s instructions are enabled.
#[inline(always)]
pub(super) unsafe fn unpack<F: Columns, L: Lanes, const R: usize>(
    lanes: L,
    rows: &[u8],
    n_rows: usize,
    cols: usize,
    panel: &mut Panel,
) {
    let into = panel.prepare::<F>(cols, R);
    // SAFETY: as asked, and all blocks are of this type.
    let block = |rows, out| unsafe { <F as Columns>::unpack::<L>(rows, out) };
    // SAFETY: as asked.
    unsafe { unpack_blocks::<F, L, R>(lanes, rows, n_rows, cols, into, block) }
}

/// As [`unpack`], with one scale for each 256 values.
///
/// # Safety
/// As there.
#[inline(always)]
pub(super) unsafe fn unpack_whole<F: WholeByColumns, L: Lanes, const R: usize>(
    lanes: L,
    rows: &[u8],
    n_rows: usize,
    cols: usize,
    panel: &mut Panel,
) {
    let into = panel.prepare_whole::<F>(cols, R);
    // SAFETY: as asked, and all blocks are of this type.
    let block = |rows, out| unsafe { F::unpack_whole::<L>(rows, out) };
    // SAFETY: as asked.
    unsafe { unpack_blocks::<F, L, R>(lanes, rows, n_rows, cols, into, block) }
}

/// Unpacks with `unpack(blocks, out)`.
///
/// # Safety
/// As [`unpack`].
#[inline(always)]
unsafe fn unpack_blocks<F: Format, L: Lanes, const R: usize>(
    lanes: L,
    rows: &[u8],
    n_rows: usize,
    cols: usize,
    into: Parts<'_>,
    unpack: impl Fn(Rows<L>, Out<L>),
) {
    let row_bytes = cols / F::LEN * F::BYTES;
    assert!(n_rows <= R && rows.len() == n_rows * row_bytes);
    let next_rows = rows.as_ptr().wrapping_add(into.ahead);
    // Blocks of zeros decode to zeros.
    let rows = match n_rows < R {
        true => {
            into.padded.clear();
            into.padded.extend_from_slice(rows);
            into.padded.resize(R * row_bytes, 0);
            into.padded.as_slice()
        }
        false => rows,
    };
    for start in (0..cols).step_by(F::LEN) {
        let at = start / F::LEN * F::BYTES;
        for first in (0..R).step_by(L::ROWS) {
            let next = at * R + first * F::BYTES;
            fetch(next_rows, next..next + L::ROWS * F::BYTES);
            // SAFETY: there are R rows of whole blocks, and in the panel room for them.
            unsafe {
                let first_factor = start / into.group * R + first;
                let out = Out {
                    lanes,
                    panel_rows: R,
                    codes: into.elements.as_mut_ptr().add(start * R + first * 4),
                    scales: into.scales.as_mut_ptr().add(first_factor),
                    mins: into.mins.as_mut_ptr().add(first_factor),
                    min_codes: into.min_codes.as_mut_ptr().wrapping_add(start / 32 * R + first),
                };
                let from = rows.as_ptr().add(first * row_bytes + at);
                unpack(Rows { lanes, first: from, stride: row_bytes }, out);
            }
        }
    }
}

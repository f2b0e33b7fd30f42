//! Keys and values of one layer.
//!
//! A tile holds one head's vectors of one page. Floats lie transposed for keys, `[head_dim][PAGE]`,
//! and as they come for values, `[PAGE][v_cols]` with `v_cols` the head's values padded by zeros. So
//! scores and weighted sums are the same kind of product: rows of a tile times broadcast numbers.
//! For quantised vectors see [`super::format`].

use backend::{BackendError, KvSpec, KvType, KvTypes, PAGE};
use memmap2::MmapMut;
use quant::f32_to_bf16;

use super::format::{Coded, Format, Order};
use crate::pool::SharedMut;
use crate::simd::Simd;

/// Values are padded to a multiple of this, the widest vector.
pub const PAD: usize = 16;
/// Bytes of a huge page, of most processors.
#[cfg(target_os = "linux")]
const HUGE_PAGE: usize = 2 << 20;

/// A layer's store.
pub struct Store {
    pub types: KvTypes,
    pub shape: Shape,
    pub k: Side,
    pub v: Side,
}

/// Bytes that a store of this shape takes.
///
/// # Errors
/// As [`KvSpec::bytes`].
pub fn kv_bytes(spec: KvSpec) -> Result<usize, BackendError> {
    spec.bytes()?;
    let v_cols = spec.head_dim_v.checked_next_multiple_of(PAD);
    let head_dim_v = v_cols.ok_or(BackendError::OutOfMemory { bytes: usize::MAX })?;
    // The padding may be what is too much.
    KvSpec { head_dim_v, ..spec }.bytes()
}

/// The shape of tiles.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub n_head_kv: usize,
    pub head_dim: usize,
    pub head_dim_v: usize,
    /// `head_dim_v`, padded.
    pub v_cols: usize,
}

impl Store {
    /// A zeroed store.
    pub fn new(spec: KvSpec) -> Result<Self, BackendError> {
        let refuse = |bytes| BackendError::OutOfMemory { bytes };
        let bytes = kv_bytes(spec)?;
        let v_cols = spec.head_dim_v.next_multiple_of(PAD);
        let KvSpec { n_head_kv, head_dim, head_dim_v, n_pages, types } = spec;
        let n_tiles = n_pages * n_head_kv;
        let k = Side::new(types.k, head_dim, Order::Keys, n_tiles);
        let v = Side::new(types.v, v_cols, Order::Values, n_tiles);
        let (Some(k), Some(v)) = (k, v) else { return Err(refuse(bytes)) };
        Ok(Self { types, shape: Shape { n_head_kv, head_dim, head_dim_v, v_cols }, k, v })
    }

    /// Copies keys and values of a whole page.
    pub fn copy_page(&mut self, from: usize, to: usize) {
        for side in [&mut self.k, &mut self.v] {
            let len = self.shape.n_head_kv * side.form.tile_bytes;
            side.memory.copy_within(from * len..(from + 1) * len, to * len);
        }
    }

    /// Bytes of a page, keys and values.
    pub fn page_bytes(&self) -> usize {
        let sides = [&self.k, &self.v];
        sides.iter().map(|side| self.shape.n_head_kv * side.form.tile_bytes).sum()
    }

    /// Appends the bytes of a page: its tiles of keys, then those of values.
    pub fn export(&self, page: usize, out: &mut Vec<u8>) {
        for side in [&self.k, &self.v] {
            let len = self.shape.n_head_kv * side.form.tile_bytes;
            out.extend_from_slice(&side.memory[page * len..][..len]);
        }
    }

    /// Puts the bytes of a page back.
    pub fn import(&mut self, page: usize, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.page_bytes(), "bytes of a page");
        let mut bytes = bytes;
        for side in [&mut self.k, &mut self.v] {
            let len = self.shape.n_head_kv * side.form.tile_bytes;
            let (own, rest) = bytes.split_at(len);
            side.memory[page * len..][..len].copy_from_slice(own);
            bytes = rest;
        }
    }

    /// Index of a position's tile.
    #[inline(always)]
    pub fn tile(&self, pages: &[u32], pos: usize, head: usize) -> usize {
        pages[pos / PAGE] as usize * self.shape.n_head_kv + head
    }
}

/// The form of a tile.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    ty: KvType,
    /// Of a quantised type.
    format: Option<&'static Format>,
    /// Values per vector.
    cols: usize,
    order: Order,
    tile_bytes: usize,
}

/// Tiles of keys or of values, `[page][head]`.
pub struct Side {
    form: Form,
    /// Aligned to pages of the system, and zeros that take no room before they are touched.
    memory: MmapMut,
}

/// What a tile holds.
#[derive(Clone, Copy)]
pub enum Tile<'a> {
    F32(&'a [f32]),
    /// Half floats.
    F16(&'a [u16]),
    /// Upper halves of floats.
    Bf16(&'a [u16]),
    Coded(Coded<'a>),
}

impl Side {
    /// `None` where the memory is not to be had; the caller has checked that sizes don't overflow.
    fn new(ty: KvType, cols: usize, order: Order, n_tiles: usize) -> Option<Self> {
        let tile_bytes = ty.tensor_type().row_bytes(cols)? * PAGE;
        let form = Form { ty, format: Format::of(ty), cols, order, tile_bytes };
        let memory = MmapMut::map_anon((n_tiles * tile_bytes).max(1)).ok()?;
        // Fewer misses of the page tables' cache; what the system doesn't offer is no harm. Not from
        // the start: a short text touches little of each layer, and would wait until whole huge pages
        // of all of them are cleared.
        #[cfg(target_os = "linux")]
        if let Some(rest) = memory.len().checked_sub(HUGE_PAGE) {
            let _ = memory.advise_range(memmap2::Advice::HugePage, HUGE_PAGE, rest);
        }
        Some(Self { form, memory })
    }

    /// The bytes of a tile.
    #[inline(always)]
    pub fn bytes(&self, tile: usize) -> &[u8] {
        let len = self.form.tile_bytes;
        &self.memory[tile * len..][..len]
    }

    /// A tile.
    #[inline(always)]
    pub fn tile(&self, tile: usize) -> Tile<'_> {
        let bytes = self.bytes(tile);
        match self.form.ty {
            KvType::F32 => Tile::F32(floats(bytes)),
            KvType::F16 => Tile::F16(halves(bytes)),
            KvType::Bf16 => Tile::Bf16(halves(bytes)),
            ty => {
                Tile::Coded(Format::of(ty).expect("a quantised type").view(bytes, self.form.cols))
            }
        }
    }

    /// Whether tiles are quantised.
    pub fn is_coded(&self) -> bool {
        self.form.format.is_some()
    }

    /// All tiles, to be written by several threads.
    pub fn writer(&mut self) -> Writer<'_> {
        Writer { form: self.form, memory: SharedMut::new(&mut self.memory) }
    }
}

impl Form {
    /// Stores a vector in a tile.
    #[inline(always)]
    fn put<S: Simd>(self, s: S, tile: &mut [u8], cell: usize, values: &[f32]) {
        if let Some(format) = self.format {
            return format.put(tile, self.order, cell, values);
        }
        match self.ty {
            KvType::F32 => self.put_each(tile, cell, 0, values.iter().map(|v| v.to_ne_bytes())),
            KvType::Bf16 => {
                let upper = values.iter().map(|&value| f32_to_bf16(value).to_ne_bytes());
                self.put_each(tile, cell, 0, upper);
            }
            _ => {
                for (first, values) in (0..).step_by(S::LANES).zip(values.chunks(S::LANES)) {
                    let whole = values.len() == S::LANES;
                    let v = if whole { s.load(values) } else { s.load_partial(values) };
                    let mut halves = [0; PAD];
                    s.store_f16(v, &mut halves);
                    let halves = halves[..values.len()].iter().map(|half| half.to_ne_bytes());
                    self.put_each(tile, cell, first, halves);
                }
            }
        }
    }

    /// Stores the numbers of a vector from its `first` on.
    #[inline(always)]
    fn put_each<const BYTES: usize>(
        self,
        tile: &mut [u8],
        cell: usize,
        first: usize,
        numbers: impl ExactSizeIterator<Item = [u8; BYTES]>,
    ) {
        let tile = tile.as_chunks_mut().0;
        match self.order {
            Order::Keys => {
                let lines = tile[first * PAGE..].chunks_exact_mut(PAGE);
                lines.zip(numbers).for_each(|(line, number)| line[cell] = number);
            }
            Order::Values => {
                let places = &mut tile[cell * self.cols + first..][..numbers.len()];
                places.iter_mut().zip(numbers).for_each(|(place, number)| *place = number);
            }
        }
    }
}

/// Stores vectors in tiles.
#[derive(Clone, Copy)]
pub struct Writer<'a> {
    form: Form,
    memory: SharedMut<'a, u8>,
}

impl Writer<'_> {
    /// Stores a vector.
    ///
    /// # Safety
    /// No two threads write to a tile at the same time.
    #[inline(always)]
    pub unsafe fn put<S: Simd>(&self, s: S, tile: usize, cell: usize, values: &[f32]) {
        let len = self.form.tile_bytes;
        // SAFETY: as the caller promises.
        let tile = unsafe { self.memory.slice(tile * len, len) };
        self.form.put(s, tile, cell, values);
    }
}

/// Bytes as numbers in the processor's order.
#[inline(always)]
pub fn floats(bytes: &[u8]) -> &[f32] {
    // SAFETY: any bits are a number.
    let (before, numbers, after) = unsafe { bytes.align_to() };
    assert!(before.is_empty() && after.is_empty(), "tiles are aligned");
    numbers
}

/// As [`floats`], of 16 bits.
#[inline(always)]
pub fn halves(bytes: &[u8]) -> &[u16] {
    // SAFETY: any bits are a number.
    let (before, numbers, after) = unsafe { bytes.align_to() };
    assert!(before.is_empty() && after.is_empty(), "tiles are aligned");
    numbers
}

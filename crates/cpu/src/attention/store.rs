//! Keys and values of one layer.
//!
//! A tile holds one head's vectors of one page. Keys lie transposed, `[head_dim][PAGE]`, values as
//! they come, `[PAGE][v_cols]` with `v_cols` the head's values padded by zeros. So scores and
//! weighted sums are the same kind of product: rows of a tile times broadcast numbers.

use std::alloc::{Layout, alloc_zeroed};

use backend::{BackendError, KvSpec, KvType, PAGE};

use crate::simd::Simd;

/// Values are padded to a multiple of this, the widest vector.
pub const PAD: usize = 16;

/// A number format of stored keys and values.
pub trait Element: Copy + Default + Send + Sync {
    fn load<S: Simd>(s: S, x: &[Self]) -> S::V;
    fn store<S: Simd>(s: S, v: S::V, x: &mut [Self]);
}

impl Element for f32 {
    #[inline(always)]
    fn load<S: Simd>(s: S, x: &[f32]) -> S::V {
        s.load(x)
    }

    #[inline(always)]
    fn store<S: Simd>(s: S, v: S::V, x: &mut [f32]) {
        s.store(v, x);
    }
}

/// Half floats.
impl Element for u16 {
    #[inline(always)]
    fn load<S: Simd>(s: S, x: &[u16]) -> S::V {
        s.load_f16(x)
    }

    #[inline(always)]
    fn store<S: Simd>(s: S, v: S::V, x: &mut [u16]) {
        s.store_f16(v, x);
    }
}

/// Tiles of keys and values, `[page][head]`.
pub struct Tiles<T> {
    pub shape: Shape,
    pub k: Vec<T>,
    pub v: Vec<T>,
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

impl Shape {
    /// Values in a tile of keys.
    pub fn k_tile(self) -> usize {
        self.head_dim * PAGE
    }

    /// Values in a tile of values.
    pub fn v_tile(self) -> usize {
        PAGE * self.v_cols
    }
}

impl<T: Element> Tiles<T> {
    fn new(spec: KvSpec) -> Result<Self, BackendError> {
        let v_cols = spec.head_dim_v.checked_next_multiple_of(PAD);
        let padded = v_cols.map(|head_dim_v| KvSpec { head_dim_v, ..spec });
        let bytes = padded.and_then(|spec| spec.bytes()).unwrap_or(usize::MAX);
        let refuse = || BackendError::OutOfMemory { bytes };
        let v_cols = v_cols.filter(|_| bytes < usize::MAX).ok_or_else(refuse)?;

        let KvSpec { n_head_kv, head_dim, head_dim_v, n_pages, .. } = spec;
        let shape = Shape { n_head_kv, head_dim, head_dim_v, v_cols };
        // Products of factors of `bytes`, so they don't overflow.
        let k = zeroed(n_pages * n_head_kv * shape.k_tile()).ok_or_else(refuse)?;
        let v = zeroed(n_pages * n_head_kv * shape.v_tile()).ok_or_else(refuse)?;
        Ok(Self { shape, k, v })
    }

    fn copy_page(&mut self, from: usize, to: usize) {
        let n_head_kv = self.shape.n_head_kv;
        let len = n_head_kv * self.shape.k_tile();
        self.k.copy_within(from * len..(from + 1) * len, to * len);
        let len = n_head_kv * self.shape.v_tile();
        self.v.copy_within(from * len..(from + 1) * len, to * len);
    }

    /// A tile of keys.
    #[inline(always)]
    pub fn keys(&self, tile: usize) -> &[T] {
        &self.k[tile * self.shape.k_tile()..][..self.shape.k_tile()]
    }

    /// A tile of values.
    #[inline(always)]
    pub fn values(&self, tile: usize) -> &[T] {
        &self.v[tile * self.shape.v_tile()..][..self.shape.v_tile()]
    }

    /// Index of a position's tile.
    #[inline(always)]
    pub fn tile(&self, pages: &[u32], pos: usize, head: usize) -> usize {
        pages[pos / PAGE] as usize * self.shape.n_head_kv + head
    }
}

/// Zeros that take no memory before they are touched; `None` where even the addresses can't be had.
fn zeroed<T: Element>(len: usize) -> Option<Vec<T>> {
    let layout = Layout::array::<T>(len).ok()?;
    if layout.size() == 0 {
        return Some(Vec::new());
    }
    // SAFETY: the size isn't zero.
    let data = unsafe { alloc_zeroed(layout) }.cast::<T>();
    if data.is_null() {
        return None;
    }
    // SAFETY: allocated as `Vec` allocates `len` elements, and zeros are valid for the two types of
    // elements.
    Some(unsafe { Vec::from_raw_parts(data, len, len) })
}

/// Stores one head's key and value of a position in their tiles.
#[inline(always)]
pub fn write<S: Simd, T: Element>(
    s: S,
    (k, k_tile): (&[f32], &mut [T]),
    (v, v_tile): (&[f32], &mut [T]),
    cell: usize,
) {
    let mut converted = [T::default(); PAD];
    for (k, lines) in k.chunks(S::LANES).zip(k_tile.chunks_mut(S::LANES * PAGE)) {
        convert(s, k, &mut converted);
        for (line, &value) in lines.chunks_exact_mut(PAGE).zip(&converted) {
            line[cell] = value;
        }
    }
    let v_cols = v_tile.len() / PAGE;
    let to = &mut v_tile[cell * v_cols..][..v_cols];
    for (v, to) in v.chunks(S::LANES).zip(to.chunks_mut(S::LANES)) {
        convert(s, v, to);
    }
}

/// Converts up to one vector; what is missing in `from` is zero in `to`.
#[inline(always)]
fn convert<S: Simd, T: Element>(s: S, from: &[f32], to: &mut [T]) {
    let v = if from.len() == S::LANES { s.load(from) } else { s.load_partial(from) };
    T::store(s, v, to);
}

/// A layer's store.
pub enum Store {
    F32(Tiles<f32>),
    F16(Tiles<u16>),
}

impl Store {
    /// A zeroed store.
    pub fn new(spec: KvSpec) -> Result<Self, BackendError> {
        Ok(match spec.ty {
            KvType::F32 => Self::F32(Tiles::new(spec)?),
            KvType::F16 => Self::F16(Tiles::new(spec)?),
        })
    }

    /// Its tiles' shape.
    pub fn shape(&self) -> Shape {
        match self {
            Store::F32(tiles) => tiles.shape,
            Store::F16(tiles) => tiles.shape,
        }
    }

    /// Copies keys and values of a whole page.
    pub fn copy_page(&mut self, from: usize, to: usize) {
        match self {
            Store::F32(tiles) => tiles.copy_page(from, to),
            Store::F16(tiles) => tiles.copy_page(from, to),
        }
    }
}

//! The rows of one cache.

use backend::{BackendError, CacheSpec, KvType, Span};
use memmap2::MmapMut;
use quant::f32_to_bf16;

use crate::ops::Rows;
use crate::pool::{Pool, SharedMut};
use crate::simd::{Kernel, Level, Simd};

/// Rows from which other threads help.
const PARALLEL_ROWS: usize = 16;

/// `[page][row]`, little-endian blocks of the format.
pub struct Store {
    pub spec: CacheSpec,
    row_bytes: usize,
    /// Zeros that take no room before they are touched.
    memory: MmapMut,
}

impl Store {
    /// A zeroed cache.
    pub fn new(spec: CacheSpec) -> Result<Self, BackendError> {
        let bytes = spec.bytes()?;
        let refused = BackendError::OutOfMemory { bytes };
        let row_bytes = spec.ty.tensor_type().row_bytes(spec.width).ok_or(refused.clone())?;
        let memory = MmapMut::map_anon(bytes.max(1)).map_err(|_| refused)?;
        Ok(Self { spec, row_bytes, memory })
    }

    /// Copies a page.
    pub fn copy_page(&mut self, from: usize, to: usize) {
        let len = self.spec.page_rows() * self.row_bytes;
        self.memory.copy_within(from * len..(from + 1) * len, to * len);
    }

    /// The bytes of a page.
    pub fn page(&self, page: usize) -> &[u8] {
        let len = self.spec.page_rows() * self.row_bytes;
        &self.memory[page * len..][..len]
    }

    /// The bytes of a page, to be changed.
    pub fn page_mut(&mut self, page: usize) -> &mut [u8] {
        let len = self.spec.page_rows() * self.row_bytes;
        &mut self.memory[page * len..][..len]
    }

    /// Decodes part of the row at a place, `out.len()` values from `first` on. `buffer` has room
    /// for a row.
    #[inline(always)]
    pub fn read<S: Simd>(
        &self,
        s: S,
        place: usize,
        first: usize,
        buffer: &mut [f32],
        out: &mut [f32],
    ) {
        let row = &self.memory[place * self.row_bytes..][..self.row_bytes];
        match self.spec.ty {
            KvType::F32 => floats(s, &row[first * 4..][..out.len() * 4], out),
            KvType::F16 => halves(s, &row[first * 2..][..out.len() * 2], out, S::load_f16_bytes),
            KvType::Bf16 => halves(s, &row[first * 2..][..out.len() * 2], out, S::load_bf16_bytes),
            ty => {
                let decode = ty.tensor_type().info().decode.expect("formats have decoders");
                let buffer = &mut buffer[..self.spec.width];
                decode(row, buffer);
                out.copy_from_slice(&buffer[first..][..out.len()]);
            }
        }
    }

    /// Stores a row for each block that the batch completes.
    ///
    /// # Panics
    /// Where there are more or fewer rows.
    pub fn write(
        &mut self,
        pool: &Pool,
        level: Level,
        x: Rows<'_>,
        n_rows: usize,
        batch: &[Span<'_>],
    ) {
        let spec = self.spec;
        let places = batch
            .iter()
            .flat_map(|span| span.completes(spec.stride).map(|row| spec.place(span.pages, row)));
        let places: Vec<usize> = places.collect();
        assert_eq!(places.len(), n_rows, "rows for the blocks of {batch:?}");
        assert!(n_rows == 0 || x.cols == spec.width, "columns of cached rows");
        let row_bytes = self.row_bytes;
        let memory = SharedMut::new(&mut self.memory);
        let task = |row: usize| {
            // SAFETY: spans are of different sequences, whose last pages are their own, and their
            // rows' places differ.
            let out = unsafe { memory.slice(places[row] * row_bytes, row_bytes) };
            level.run(Encode { ty: spec.ty, values: x.row(row), out });
        };
        if n_rows < PARALLEL_ROWS {
            (0..n_rows).for_each(task);
        } else {
            pool.for_each(n_rows, |_, row| task(row));
        }
    }
}

/// Decodes floats.
#[inline(always)]
fn floats<S: Simd>(s: S, bytes: &[u8], out: &mut [f32]) {
    let mut bytes = bytes.chunks_exact(4 * S::LANES);
    let mut out = out.chunks_exact_mut(S::LANES);
    for (bytes, out) in bytes.by_ref().zip(out.by_ref()) {
        s.store(s.load_f32_bytes(bytes), out);
    }
    for (bytes, out) in bytes.remainder().as_chunks().0.iter().zip(out.into_remainder()) {
        *out = f32::from_le_bytes(*bytes);
    }
}

/// Decodes numbers of 16 bits.
#[inline(always)]
fn halves<S: Simd>(s: S, bytes: &[u8], out: &mut [f32], load: fn(S, &[u8]) -> S::V) {
    let mut bytes = bytes.chunks_exact(2 * S::LANES);
    let mut out = out.chunks_exact_mut(S::LANES);
    for (bytes, out) in bytes.by_ref().zip(out.by_ref()) {
        s.store(load(s, bytes), out);
    }
    let (rest, out) = (bytes.remainder(), out.into_remainder());
    if !out.is_empty() {
        // The widest vector has 16.
        let mut whole = [0; 32];
        whole[..rest.len()].copy_from_slice(rest);
        s.store_partial(load(s, &whole), out);
    }
}

/// Encodes a row.
struct Encode<'a> {
    ty: KvType,
    values: &'a [f32],
    out: &'a mut [u8],
}

impl Kernel for Encode<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { ty, values, out } = self;
        match ty {
            KvType::F32 => {
                let places = out.as_chunks_mut().0.iter_mut().zip(values);
                places.for_each(|(to, value)| *to = value.to_le_bytes());
            }
            KvType::Bf16 => {
                let places = out.as_chunks_mut().0.iter_mut().zip(values);
                places.for_each(|(to, &value)| *to = f32_to_bf16(value).to_le_bytes());
            }
            KvType::F16 => {
                for (values, out) in values.chunks(S::LANES).zip(out.chunks_mut(2 * S::LANES)) {
                    let whole = values.len() == S::LANES;
                    let v = if whole { s.load(values) } else { s.load_partial(values) };
                    let mut halves = [0; 16];
                    s.store_f16(v, &mut halves);
                    let places = out.as_chunks_mut().0.iter_mut().zip(halves);
                    places.for_each(|(to, half)| *to = half.to_le_bytes());
                }
            }
            ty => {
                let encode = ty.tensor_type().info().encode.expect("formats have encoders");
                encode(values, None, out);
            }
        }
    }
}

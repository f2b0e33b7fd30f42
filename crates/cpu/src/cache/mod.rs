//! Caches of rows: what indexes, latent attention and attention to chosen positions keep.
//!
//! Rows lie as they come, so that any of them are found at the cost of reading them. Products take
//! tiles of [`TILE`] rows, gathered for as many queries as share them.

mod attend;
mod dots;
mod pooling;
mod select;
mod store;

pub use attend::Inputs as AttentionInputs;
pub use pooling::{Inputs as PoolInputs, pool_blocks};
pub use select::Inputs as SelectionInputs;

use backend::{BackendError, CacheId, CacheSpec, Span, TopK};

use crate::ops::Rows;
use crate::pool::Pool;
use crate::simd::{Level, Simd};
use store::Store;

/// Rows that are gathered at once.
const TILE: usize = 64;
/// Vectors are padded with zeros to a multiple of this, the widest register.
const PAD: usize = 16;
/// Products below which other threads are not worth waking.
const INLINE_PRODUCTS: usize = 200_000;

/// All caches and the space to work in.
#[derive(Default)]
pub struct Caches {
    stores: Vec<Store>,
    scratch: Vec<Scratch>,
    /// Partial results of attention, or scores of a choice.
    floats: Vec<f32>,
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    /// Queries, each padded with zeros.
    q: Vec<f32>,
    /// One cached row.
    row: Vec<f32>,
    /// Keys of a tile, `[TILE][padded width]`.
    keys: Vec<f32>,
    /// Values of a tile, `[TILE][v_cols]`, where they aren't the beginnings of keys.
    values: Vec<f32>,
    /// `[queries][TILE]`
    scores: Vec<f32>,
    softmax: attend::Softmax,
    top_k: TopK,
}

impl Caches {
    /// For as many threads.
    pub fn new(threads: usize) -> Self {
        let scratch = (0..threads).map(|_| Scratch::default()).collect();
        Self { scratch, ..Self::default() }
    }

    /// Adds a zeroed cache.
    pub fn create(&mut self, spec: CacheSpec) -> Result<CacheId, BackendError> {
        self.stores.push(Store::new(spec)?);
        Ok(CacheId(self.stores.len() - 1))
    }

    /// A cache.
    pub fn store(&self, cache: CacheId) -> &Store {
        &self.stores[cache.0]
    }

    /// A cache, to be changed.
    pub fn store_mut(&mut self, cache: CacheId) -> &mut Store {
        &mut self.stores[cache.0]
    }

    /// Positions per row.
    pub fn stride(&self, cache: CacheId) -> usize {
        self.stores[cache.0].spec.stride
    }

    /// Stores a row for each block that the batch completes.
    pub fn write(
        &mut self,
        pool: &Pool,
        level: Level,
        cache: CacheId,
        x: Rows<'_>,
        n_rows: usize,
        batch: &[Span<'_>],
    ) {
        self.stores[cache.0].write(pool, level, x, n_rows, batch);
    }
}

/// Makes room.
fn grow(buffer: &mut Vec<f32>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
}

/// Copies a vector times a factor, and pads it.
#[inline(always)]
fn copy_scaled<S: Simd>(s: S, from: &[f32], factor: f32, to: &mut [f32]) {
    let factor = s.splat(factor);
    let (to, padding) = to.split_at_mut(from.len());
    padding.fill(0.0);
    for (from, to) in from.chunks(S::LANES).zip(to.chunks_mut(S::LANES)) {
        if from.len() == S::LANES {
            s.store(s.mul(s.load(from), factor), to);
        } else {
            s.store_partial(s.mul(s.load_partial(from), factor), to);
        }
    }
}

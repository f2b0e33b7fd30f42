//! Memory of the positions already seen: pages of keys and values.

use backend::{Backend, KvId, KvSpec, KvTypes, PAGE};

use crate::Model;
use crate::error::Error;

/// What one layer stores per position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvShape {
    /// Key/value heads.
    pub n_head_kv: usize,
    /// Width of a key head.
    pub head_dim: usize,
    /// Width of a value head.
    pub head_dim_v: usize,
}

impl KvShape {
    /// Nothing.
    pub const NONE: Self = Self { n_head_kv: 0, head_dim: 0, head_dim_v: 0 };
}

/// Pages of keys and values for all layers, handed out to sequences.
#[derive(Debug)]
pub struct Memory {
    layers: Vec<KvId>,
    free: Vec<u32>,
    n_ctx: usize,
}

impl Memory {
    /// Creates the stores for `n_ctx` positions in every layer of the model.
    pub fn new(
        model: &dyn Model,
        backend: &mut dyn Backend,
        n_ctx: usize,
        types: KvTypes,
    ) -> Result<Self, Error> {
        let n_pages = n_ctx.div_ceil(PAGE);
        let layers = model
            .shape()
            .kv
            .iter()
            .map(|&KvShape { n_head_kv, head_dim, head_dim_v }| {
                backend.kv_create(KvSpec { n_head_kv, head_dim, head_dim_v, n_pages, types })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { layers, free: (0..n_pages as u32).rev().collect(), n_ctx })
    }

    /// Positions there is memory for, in whole.
    pub fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    /// The store of layer `il`.
    pub fn layer(&self, il: usize) -> KvId {
        self.layers[il]
    }

    /// Gives the sequence pages for `n` more positions and counts them as seen.
    pub fn extend(&mut self, sequence: &mut Sequence, n: usize) -> Result<(), Error> {
        let needed = sequence.len + n;
        let n_pages = needed.div_ceil(PAGE);
        let missing = n_pages.saturating_sub(sequence.pages.len());
        if needed > self.n_ctx || missing > self.free.len() {
            return Err(Error::ContextFull { needed, n_ctx: self.n_ctx });
        }
        sequence.pages.extend(self.free.drain(self.free.len() - missing..).rev());
        sequence.len = needed;
        Ok(())
    }

    /// Forgets all positions from `len` on and takes back the pages that no longer hold any.
    pub fn truncate(&mut self, sequence: &mut Sequence, len: usize) {
        if len >= sequence.len {
            return;
        }
        sequence.len = len;
        let kept = len.div_ceil(PAGE);
        self.free.extend(sequence.pages.drain(kept..).rev());
    }
}

/// One sequence's share of the memory.
#[derive(Debug, Default)]
pub struct Sequence {
    pages: Vec<u32>,
    len: usize,
}

impl Sequence {
    /// Number of positions seen.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was seen yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its pages, in the order of positions.
    pub fn pages(&self) -> &[u32] {
        &self.pages
    }
}

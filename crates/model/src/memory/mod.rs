//! Memory of the positions already seen: keys and values and cached rows in pages, recurrent states
//! in slots.
//!
//! A layer may have any of them, and several caches and states. Sequences share pages and snapshots that they
//! have in common. Layers that attend to a sliding window keep all keys and values; a mask hides
//! them.

mod pool;
mod sequence;

use backend::{Backend, CacheId, CacheSpec, KvId, KvSpec, KvTypes, PAGE, StateId, StateSpec};

use crate::error::Error;
use crate::{Model, Shape};
use pool::Pool;
pub use sequence::Sequence;
use sequence::Snapshot;

/// Snapshots of its states that a sequence keeps.
const SNAPSHOTS: usize = 4;

/// What one layer stores per position; layers without attention have no heads.
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

/// What one layer caches: a row for each block of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheShape {
    /// Values per row.
    pub width: usize,
    /// Positions per row.
    pub stride: usize,
}

impl CacheShape {
    /// A row for each position.
    pub fn of_positions(width: usize) -> Self {
        Self { width, stride: 1 }
    }
}

/// Stores for keys, values, rows and states of all layers, and what of them is free.
#[derive(Debug)]
pub struct Memory {
    layers: Vec<Option<KvId>>,
    caches: Vec<Vec<CacheId>>,
    states: Vec<Vec<StateId>>,
    pages: Pool,
    slots: Pool,
    n_ctx: usize,
    /// Of the texts that the model's encoder has read.
    encoder: Option<Box<Memory>>,
}

/// Slots for the states of sequences and their snapshots.
fn n_slots(n_sequences: usize) -> usize {
    n_sequences.saturating_mul(1 + SNAPSHOTS)
}

/// Bytes of the states of one sequence and its snapshots; `None` beyond all memory.
pub(crate) fn state_bytes(shape: &Shape) -> Option<u64> {
    let specs = shape.states.iter().flatten().map(|&len| StateSpec { len, n_slots: n_slots(1) });
    specs.map(|spec| u64::try_from(spec.bytes().ok()?).ok()).sum()
}

impl Memory {
    /// Creates the stores for `n_ctx` positions of `n_sequences` sequences together.
    pub fn new(
        model: &dyn Model,
        backend: &mut dyn Backend,
        n_ctx: usize,
        n_sequences: usize,
        types: KvTypes,
    ) -> Result<Self, Error> {
        // Every sequence may leave its last page unfilled.
        let n_pages = n_ctx.div_ceil(PAGE).saturating_add(n_sequences.saturating_sub(1));
        let shape = model.shape();
        let layers = shape.kv.iter().map(|&KvShape { n_head_kv, head_dim, head_dim_v }| {
            let spec = KvSpec { n_head_kv, head_dim, head_dim_v, n_pages, types };
            (n_head_kv > 0).then(|| backend.kv_create(spec)).transpose()
        });
        let layers = layers.collect::<Result<_, _>>()?;
        let mut create = |&CacheShape { width, stride }: &_| {
            backend.cache_create(CacheSpec { width, stride, n_pages, ty: types.k })
        };
        let caches = shape.caches.iter().map(|caches| caches.iter().map(&mut create).collect());
        let caches = caches.collect::<Result<_, _>>()?;
        let n_slots = n_slots(n_sequences);
        let mut create = |&len: &usize| backend.state_create(StateSpec { len, n_slots });
        let states = shape.states.iter().map(|states| states.iter().map(&mut create).collect());
        let states = states.collect::<Result<_, _>>()?;
        let (pages, slots) = (Pool::new(n_pages), Pool::new(n_slots));
        let encoder = model.encoder().map(|encoder| {
            Ok::<_, Error>(Box::new(Self::new(encoder, backend, n_ctx, n_sequences, types)?))
        });
        Ok(Self { layers, caches, states, pages, slots, n_ctx, encoder: encoder.transpose()? })
    }

    /// What the model's encoder remembers of the texts it has read, if it has one.
    pub fn encoder(&self) -> Option<&Self> {
        self.encoder.as_deref()
    }

    /// The same, and the part of it that belongs to a sequence.
    pub fn encoder_of<'a>(
        &'a mut self,
        sequence: &'a mut Sequence,
    ) -> Option<(&'a mut Self, &'a mut Sequence)> {
        self.encoder.as_deref_mut().zip(sequence.encoded.as_deref_mut())
    }

    /// Positions there is memory for, in whole.
    pub fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    /// Layers that may have keys and values.
    pub fn n_layers(&self) -> usize {
        self.layers.len()
    }

    /// The keys and values of layer `il`.
    ///
    /// # Panics
    /// Where the model's shape says that it has none.
    pub fn layer(&self, il: usize) -> KvId {
        self.layers[il].expect("a layer with attention")
    }

    /// Cache `index` of layer `il`, as [`Shape::caches`] lists them.
    pub fn cache(&self, il: usize, index: usize) -> CacheId {
        self.caches[il][index]
    }

    /// State `index` of layer `il`, as [`Shape::states`] lists them.
    pub fn state(&self, il: usize, index: usize) -> StateId {
        self.states[il][index]
    }

    /// Whether sequences can only go back to snapshots.
    pub fn is_recurrent(&self) -> bool {
        self.states.iter().any(|states| !states.is_empty())
    }

    fn copy_states(&self, backend: &mut dyn Backend, from: u32, to: u32) {
        self.states.iter().flatten().for_each(|&state| backend.state_copy(state, from, to));
    }

    /// An empty sequence; `None` where all those that memory was made for have begun.
    pub fn begin(&mut self) -> Option<Sequence> {
        let slot = self.slots.take()?;
        let encoded = match &mut self.encoder {
            Some(encoder) => Some(Box::new(encoder.begin()?)),
            None => None,
        };
        Some(Sequence { pages: Vec::new(), len: 0, slot, snapshots: Vec::new(), encoded })
    }

    /// Makes `to` a copy of a sequence, which shares its pages and its snapshots.
    pub fn fork(&mut self, backend: &mut dyn Backend, of: &Sequence, to: &mut Sequence) {
        to.pages.drain(..).for_each(|page| self.pages.give_back(page));
        to.snapshots.drain(..).for_each(|snapshot| self.slots.give_back(snapshot.slot));
        self.copy_states(backend, of.slot, to.slot);
        to.len = of.len;
        to.pages = of.pages[..of.len.div_ceil(PAGE)].to_vec();
        to.snapshots = of.snapshots.clone();
        to.pages.iter().for_each(|&page| self.pages.share(page));
        to.snapshots.iter().for_each(|snapshot| self.slots.share(snapshot.slot));
        if let (Some(encoder), Some(of), Some(to)) =
            (&mut self.encoder, &of.encoded, &mut to.encoded)
        {
            encoder.fork(backend, of, to);
        }
    }

    /// Gives the sequence pages of its own for `n` more positions.
    pub fn reserve(
        &mut self,
        backend: &mut dyn Backend,
        sequence: &mut Sequence,
        n: usize,
    ) -> Result<(), Error> {
        let needed = sequence.len.saturating_add(n);
        let missing = needed.div_ceil(PAGE).saturating_sub(sequence.pages.len());
        // The last page is written to, so that others can't have it too.
        let first = sequence.len / PAGE;
        let last = sequence.pages.get(first).copied();
        let shared = last.filter(|&page| n > 0 && self.pages.is_shared(page));
        if needed > self.n_ctx || missing + usize::from(shared.is_some()) > self.pages.n_free() {
            return Err(Error::ContextFull { needed, n_ctx: self.n_ctx });
        }
        if let Some(page) = shared {
            let own = self.pages.take().expect("as was checked");
            for &layer in self.layers.iter().flatten() {
                backend.kv_copy_page(layer, page, own);
            }
            for &cache in self.caches.iter().flatten() {
                backend.cache_copy_page(cache, page, own);
            }
            self.pages.give_back(page);
            sequence.pages[first] = own;
        }
        sequence.pages.extend((0..missing).filter_map(|_| self.pages.take()));
        Ok(())
    }

    /// Counts `n` positions as seen. A sequence with states that comes to the end of a page can
    /// return there.
    pub fn advance(&mut self, backend: &mut dyn Backend, sequence: &mut Sequence, n: usize) {
        sequence.len += n;
        if !self.is_recurrent() || n == 0 || !sequence.len.is_multiple_of(PAGE) {
            return;
        }
        if sequence.snapshots.len() == SNAPSHOTS {
            let snapshot = sequence.snapshots.remove(sequence.most_dispensable());
            self.slots.give_back(snapshot.slot);
        }
        // There are slots for all that sequences may keep.
        if let Some(slot) = self.slots.take() {
            self.copy_states(backend, sequence.slot, slot);
            sequence.snapshots.push(Snapshot { len: sequence.len, slot });
        }
    }

    /// Forgets positions from `len` on, or from the last snapshot before that where the model has
    /// states, and returns how many are left.
    pub fn truncate(
        &mut self,
        backend: &mut dyn Backend,
        sequence: &mut Sequence,
        len: usize,
    ) -> usize {
        if len >= sequence.len {
            return sequence.len;
        }
        let kept = sequence.snapshots.partition_point(|snapshot| snapshot.len <= len);
        for snapshot in sequence.snapshots.drain(kept..) {
            self.slots.give_back(snapshot.slot);
        }
        sequence.len = match sequence.snapshots.last() {
            _ if !self.is_recurrent() => len,
            Some(&Snapshot { len, slot }) => {
                self.copy_states(backend, slot, sequence.slot);
                len
            }
            None => 0,
        };
        for page in sequence.pages.drain(sequence.len.div_ceil(PAGE)..) {
            self.pages.give_back(page);
        }
        sequence.len
    }
}

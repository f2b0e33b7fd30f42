//! Memory of the positions already seen: keys and values and cached rows in pages, recurrent states
//! in slots.
//!
//! A layer may have any of them, and several caches and states. Sequences share the pages and the
//! snapshots of what they have in common, at the same time or one after the other: pages stay as
//! long as there is room. Layers that attend to a sliding window keep all keys and values; a mask
//! hides them.

mod images;
mod pool;
mod prefixes;
mod sequence;

use backend::{Backend, CacheId, CacheSpec, KvId, KvSpec, KvTypes, PAGE, StateId, StateSpec};

use crate::error::Error;
use crate::{Model, OutputKind};
use pool::Pool;
use prefixes::{Evicted, Found, NodeId, Prefixes, ROOT};
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
    /// What was seen, where it depends on nothing but tokens.
    prefixes: Option<Prefixes>,
    /// Of the texts that the model's encoder has read.
    encoder: Option<Box<Memory>>,
}

/// How much memory has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Positions of one sequence.
    pub n_ctx: usize,
    /// Positions of all sequences, and of what is kept of earlier ones.
    pub n_positions: usize,
    /// Sequences at the same time.
    pub n_sequences: usize,
}

impl Capacity {
    /// One sequence.
    pub fn of_one(n_ctx: usize) -> Self {
        Self { n_ctx, n_positions: n_ctx, n_sequences: 1 }
    }

    /// Every sequence may leave its last page unfilled.
    fn n_pages(&self) -> usize {
        let spare = self.n_sequences.saturating_sub(1);
        self.n_positions.max(self.n_ctx).div_ceil(PAGE).saturating_add(spare)
    }
}

/// Slots for the states of sequences and their snapshots, each of the values of [`Shape::states`].
pub fn n_slots(n_sequences: usize) -> usize {
    n_sequences.saturating_mul(1 + SNAPSHOTS)
}

impl Memory {
    /// Creates the stores.
    pub fn new(
        model: &dyn Model,
        backend: &mut dyn Backend,
        capacity: Capacity,
        types: KvTypes,
    ) -> Result<Self, Error> {
        let n_pages = capacity.n_pages();
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
        let n_slots = n_slots(capacity.n_sequences);
        let mut create = |&len: &usize| backend.state_create(StateSpec { len, n_slots });
        let states = shape.states.iter().map(|states| states.iter().map(&mut create).collect());
        let states = states.collect::<Result<_, _>>()?;
        let (pages, slots) = (Pool::new(n_pages), Pool::new(n_slots));
        let encoder = model
            .encoder()
            .map(|encoder| Ok::<_, Error>(Box::new(Self::new(encoder, backend, capacity, types)?)));
        let encoder = encoder.transpose()?;
        let depends_on_tokens = model.is_causal()
            && encoder.is_none()
            && model.feature_width() == 0
            && shape.output == OutputKind::Logits;
        let prefixes = depends_on_tokens.then(Prefixes::new);
        let n_ctx = capacity.n_ctx;
        Ok(Self { layers, caches, states, pages, slots, n_ctx, prefixes, encoder })
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

    /// Positions that a sequence may have.
    pub fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    /// All pages.
    pub fn n_pages(&self) -> usize {
        self.pages.len()
    }

    /// Pages that hold nothing.
    pub fn n_empty_pages(&self) -> usize {
        self.pages.n_free()
    }

    /// Layers that may have keys and values.
    pub fn n_layers(&self) -> usize {
        self.layers.len()
    }

    /// Pages that are free or only kept of earlier sequences.
    pub fn n_free_pages(&self) -> usize {
        let kept = self.prefixes.as_ref();
        self.pages.n_free()
            + kept.map_or(0, |kept| kept.n_unused(|page| self.pages.is_shared(page)))
    }

    /// The keys and values of layer `il`.
    ///
    /// # Panics
    /// Where the model's shape says that it has none.
    pub fn layer(&self, il: usize) -> KvId {
        self.layers[il].expect("a layer with attention")
    }

    /// Cache `index` of layer `il`, as [`crate::Shape::caches`] lists them.
    pub fn cache(&self, il: usize, index: usize) -> CacheId {
        self.caches[il][index]
    }

    /// State `index` of layer `il`, as [`crate::Shape::states`] lists them.
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
        let slot = self.take_slot()?;
        let encoded = match &mut self.encoder {
            Some(encoder) => Some(Box::new(encoder.begin()?)),
            None => None,
        };
        Some(Sequence::new(slot, encoded))
    }

    /// A free slot, or that of the snapshot that was not used for the longest time.
    fn take_slot(&mut self) -> Option<u32> {
        if self.slots.n_free() == 0 {
            let slot = self.prefixes.as_mut()?.evict_snapshot(|slot| self.slots.is_shared(slot))?;
            self.slots.give_back(slot);
        }
        self.slots.take()
    }

    fn give_back(&mut self, evicted: Evicted) {
        self.pages.give_back(evicted.page);
        evicted.snapshot.into_iter().for_each(|slot| self.slots.give_back(slot));
    }

    /// The pages to begin a text with, and how many positions of it are in whole pages, though there
    /// may be no states to go on from there.
    fn find(&self, tokens: &[u32]) -> Option<(Found, usize)> {
        let prefixes = self.prefixes.as_ref()?;
        let mut found = prefixes.find(tokens);
        let known = found.path.len() * PAGE;
        if self.is_recurrent() {
            let has_snapshot = |node: NodeId| prefixes.snapshot(node).is_some();
            let is_whole = |node: NodeId, n| n == prefixes.tokens(node).len();
            found.part = found.part.filter(|&(node, n)| is_whole(node, n) && has_snapshot(node));
            if found.part.is_none() {
                let last = found.path.iter().rposition(|&node| has_snapshot(node));
                found.path.truncate(last.map_or(0, |last| last + 1));
            }
        }
        Some((found, known))
    }

    /// Positions that a sequence with these tokens would begin with.
    pub fn known(&self, tokens: &[u32]) -> usize {
        self.find(tokens).map_or(0, |(found, _)| found.len())
    }

    /// Has an empty sequence go on from what is known of the beginning of `tokens`.
    pub fn resume(&mut self, backend: &mut dyn Backend, to: &mut Sequence, tokens: &[u32]) {
        let Some((found, known)) = self.find(tokens) else { return };
        let Some(prefixes) = &mut self.prefixes else { return };
        let part = found.part.map(|(node, _)| node);
        let nodes: Vec<NodeId> = found.path.iter().copied().chain(part).collect();
        to.known = known;
        let Some(&last) = nodes.last() else { return };
        prefixes.resume(last);
        to.pages = nodes.iter().map(|&node| prefixes.page(node)).collect();
        to.pages.iter().for_each(|&page| self.pages.share(page));
        to.node = found.path.last().copied().unwrap_or(ROOT);
        to.tokens = tokens[..found.len()].to_vec();
        let whole_pages = (1..).map(|n| n * PAGE).zip(&found.path);
        for (len, slot) in
            whole_pages.filter_map(|(len, &node)| Some((len, prefixes.snapshot(node)?)))
        {
            self.slots.share(slot);
            to.snapshots.push(Snapshot { len, slot });
        }
        let superfluous = to.snapshots.len().saturating_sub(SNAPSHOTS);
        to.snapshots.drain(..superfluous).for_each(|snapshot| self.slots.give_back(snapshot.slot));
        if let Some(slot) = prefixes.snapshot(last) {
            self.copy_states(backend, slot, to.slot);
        }
    }

    /// Empties a sequence, and keeps what it has seen for others, as long as there is room.
    pub fn retire(&mut self, backend: &mut dyn Backend, sequence: &mut Sequence) {
        self.keep_rest(backend, sequence);
        self.truncate(backend, sequence, 0);
        // Pages for a batch that failed.
        sequence.pages.drain(..).for_each(|page| self.pages.give_back(page));
    }

    /// Keeps the page at the end of a sequence that is not filled.
    pub fn keep_rest(&mut self, backend: &mut dyn Backend, sequence: &Sequence) {
        let rest = &sequence.tokens[sequence.len() / PAGE * PAGE..];
        let Some(prefixes) = &self.prefixes else { return };
        if rest.is_empty() {
            return;
        }
        let is_known = match self.is_recurrent() {
            true => prefixes.child(sequence.node, rest).is_some(),
            false => prefixes.child_that_begins(sequence.node, rest).is_some(),
        };
        let slot = self.is_recurrent().then(|| self.take_slot()).flatten();
        // Without its states the page is of no use.
        if is_known || self.is_recurrent() != slot.is_some() {
            slot.into_iter().for_each(|slot| self.slots.give_back(slot));
            return;
        }
        let Some(prefixes) = &mut self.prefixes else { return };
        let page = sequence.pages[sequence.len() / PAGE];
        let (node, evicted) = prefixes.insert(sequence.node, rest, page);
        self.pages.share(page);
        if let Some(slot) = slot {
            prefixes.keep(node, slot);
            self.copy_states(backend, sequence.slot, slot);
        }
        evicted.into_iter().for_each(|evicted| self.give_back(evicted));
    }

    /// Makes `to` a copy of a sequence, which shares its pages and its snapshots.
    pub fn fork(&mut self, backend: &mut dyn Backend, of: &Sequence, to: &mut Sequence) {
        to.pages.drain(..).for_each(|page| self.pages.give_back(page));
        to.snapshots.drain(..).for_each(|snapshot| self.slots.give_back(snapshot.slot));
        self.copy_states(backend, of.slot, to.slot);
        to.tokens.clone_from(&of.tokens);
        to.node = of.node;
        to.known = of.known;
        to.pages = of.pages[..of.len().div_ceil(PAGE)].to_vec();
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
        let needed = sequence.len().saturating_add(n);
        let missing = needed.div_ceil(PAGE).saturating_sub(sequence.pages.len());
        // The last page is written to, so that others can't have it too.
        let first = sequence.len() / PAGE;
        let last = sequence.pages.get(first).copied();
        if needed > self.n_ctx {
            return Err(Error::ContextFull { needed, n_ctx: self.n_ctx });
        }
        let own = last.filter(|_| n > 0);
        if !self.free_pages(missing, own) {
            return Err(Error::MemoryFull { needed });
        }
        let shared = own.filter(|&page| self.pages.is_shared(page));
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

    /// Has at least `n` pages free, and one more for a copy of `own` while that is shared, at the cost
    /// of what is kept of earlier sequences; returns whether there are.
    fn free_pages(&mut self, n: usize, own: Option<u32>) -> bool {
        let is_short = |pages: &Pool| {
            let is_shared = own.is_some_and(|own| pages.is_shared(own));
            pages.n_free() < n + usize::from(is_shared)
        };
        while is_short(&self.pages) {
            let Some(prefixes) = &mut self.prefixes else { return false };
            // What shares a sequence's own page with it may just be what it was before.
            let in_use = |page| self.pages.n_users(page) > 1 + u32::from(own == Some(page));
            let Some(evicted) = prefixes.evict(in_use) else { return false };
            self.give_back(evicted);
        }
        true
    }

    /// Counts `tokens` as seen. A sequence with states that comes to the end of a page can return
    /// there.
    pub fn advance(&mut self, backend: &mut dyn Backend, sequence: &mut Sequence, tokens: &[u32]) {
        sequence.tokens.extend_from_slice(tokens);
        self.keep_whole_pages(sequence, tokens.len());
        if !self.is_recurrent() || tokens.is_empty() || !sequence.len().is_multiple_of(PAGE) {
            return;
        }
        if sequence.snapshots.len() == SNAPSHOTS {
            let snapshot = sequence.snapshots.remove(sequence.most_dispensable());
            self.slots.give_back(snapshot.slot);
            if let Some(prefixes) = &mut self.prefixes {
                let node = prefixes.ancestor(sequence.node, (sequence.len() - snapshot.len) / PAGE);
                let slot = prefixes.drop_snapshot(node);
                slot.into_iter().for_each(|slot| self.slots.give_back(slot));
            }
        }
        // There are slots for all that sequences may keep.
        if let Some(slot) = self.take_slot() {
            self.copy_states(backend, sequence.slot, slot);
            sequence.snapshots.push(Snapshot { len: sequence.len(), slot });
            if let Some(prefixes) = &mut self.prefixes
                && prefixes.keep(sequence.node, slot)
            {
                self.slots.share(slot);
            }
        }
    }

    /// Keeps the pages for others that the last `n` tokens have filled. Where another sequence has
    /// had the same, both use its page.
    fn keep_whole_pages(&mut self, sequence: &mut Sequence, n: usize) {
        let Some(prefixes) = &mut self.prefixes else { return };
        let len = sequence.len();
        for index in (len - n) / PAGE..len / PAGE {
            let tokens = &sequence.tokens[index * PAGE..][..PAGE];
            let own = sequence.pages[index];
            sequence.node = match prefixes.child(sequence.node, tokens) {
                Some(node) => {
                    sequence.pages[index] = prefixes.page(node);
                    self.pages.share(sequence.pages[index]);
                    self.pages.give_back(own);
                    node
                }
                None => {
                    let (node, evicted) = prefixes.insert(sequence.node, tokens, own);
                    self.pages.share(own);
                    if let Some(Evicted { page, snapshot }) = evicted {
                        self.pages.give_back(page);
                        snapshot.into_iter().for_each(|slot| self.slots.give_back(slot));
                    }
                    node
                }
            };
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
        if len >= sequence.len() {
            return sequence.len();
        }
        let kept = sequence.snapshots.partition_point(|snapshot| snapshot.len <= len);
        for snapshot in sequence.snapshots.drain(kept..) {
            self.slots.give_back(snapshot.slot);
        }
        let left = match sequence.snapshots.last() {
            _ if !self.is_recurrent() => len,
            Some(&Snapshot { len, slot }) => {
                self.copy_states(backend, slot, sequence.slot);
                len
            }
            None => 0,
        };
        if let Some(prefixes) = &self.prefixes {
            let n_pages = sequence.len() / PAGE - left / PAGE;
            sequence.node = prefixes.ancestor(sequence.node, n_pages);
        }
        sequence.tokens.truncate(left);
        for page in sequence.pages.drain(left.div_ceil(PAGE)..) {
            self.pages.give_back(page);
        }
        left
    }
}

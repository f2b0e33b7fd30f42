//! Memory of the positions already seen: keys and values and cached rows in pages, recurrent states
//! in slots.
//!
//! A layer may have any of them, and several caches and states. Sequences share the pages and the
//! snapshots of what they have in common, at the same time or one after the other: pages stay as
//! long as there is room. Layers that attend to a sliding window have pages of their own, which a
//! sequence gives back when its window has passed.

mod images;
mod pool;
mod prefixes;
mod recent;
mod sequence;
mod shape;

use std::mem;

use backend::{Backend, CacheId, CacheSpec, KvId, KvSpec, KvTypes, PAGE, StateId, StateSpec};

use crate::error::Error;
use crate::{Model, OutputKind};
use pool::Pool;
use prefixes::{Evicted, Found, NodeId, Pages, Prefixes, ROOT};
use recent::{NO_PAGE, Recent};
pub use sequence::Sequence;
use sequence::Snapshot;
use shape::SNAPSHOTS;
pub use shape::{CacheShape, Capacity, KvShape, n_slots};

/// Stores for keys, values, rows and states of all layers, and what of them is free.
#[derive(Debug)]
pub struct Memory {
    layers: Vec<Option<Store>>,
    caches: Vec<Vec<CacheId>>,
    states: Vec<Vec<StateId>>,
    pages: Pool,
    /// Of layers on sliding windows, if there are any.
    recent: Option<Recent>,
    slots: Pool,
    n_ctx: usize,
    /// What was seen, where it depends on nothing but tokens.
    prefixes: Option<Prefixes>,
    /// Of the texts that the model's encoder has read.
    encoder: Option<Box<Memory>>,
}

/// The keys and values of a layer.
#[derive(Debug, Clone, Copy)]
struct Store {
    kv: KvId,
    /// Whether only the last positions are kept.
    slides: bool,
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
        let windows = shape.kv.iter().filter_map(|kv| kv.window);
        let window = windows.max().filter(|_| !capacity.full_windows);
        let Capacity { n_ctx, n_sequences, n_batch, .. } = capacity;
        let recent = window.map(|window| Recent::new(window, n_sequences, n_batch, n_pages));
        let layers = shape.kv.iter().map(|kv| {
            let &KvShape { n_head_kv, head_dim, head_dim_v, window } = kv;
            let recent = recent.as_ref().filter(|_| window.is_some());
            let n_pages = recent.map_or(n_pages, |recent| recent.pages.len());
            let spec = KvSpec { n_head_kv, head_dim, head_dim_v, n_pages, types };
            let kv = (n_head_kv > 0).then(|| backend.kv_create(spec)).transpose()?;
            Ok::<_, Error>(kv.map(|kv| Store { kv, slides: recent.is_some() }))
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
        let encoder = model
            .encoder()
            .map(|encoder| Ok::<_, Error>(Box::new(Self::new(encoder, backend, capacity, types)?)));
        let encoder = encoder.transpose()?;
        let depends_on_tokens = model.is_causal()
            && encoder.is_none()
            && model.feature_width() == 0
            && shape.output == OutputKind::Logits;
        let prefixes = depends_on_tokens.then(Prefixes::new);
        Ok(Self { layers, caches, states, pages, recent, slots, n_ctx, prefixes, encoder })
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

    /// Pages of layers on sliding windows; 0 where there are none.
    pub fn n_recent_pages(&self) -> usize {
        self.recent.as_ref().map_or(0, |recent| recent.pages.len())
    }

    /// The first page of those that sequences of `len` positions need to go on; `None` where no layer
    /// slides.
    pub fn first_recent_page(&self, len: usize) -> Option<usize> {
        self.recent.as_ref().map(|recent| recent.first(len))
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
        self.layers[il].expect("a layer with attention").kv
    }

    /// Whether layer `il` keeps only the last positions.
    pub fn slides(&self, il: usize) -> bool {
        self.layers[il].is_some_and(|store| store.slides)
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
        self.pages.give_back(evicted.pages.all);
        self.give_back_recent(evicted.pages.recent);
        evicted.snapshot.into_iter().for_each(|slot| self.slots.give_back(slot));
    }

    fn give_back_recent(&mut self, pages: impl IntoIterator<Item = u32>) {
        if let Some(recent) = &mut self.recent {
            pages.into_iter().for_each(|page| recent.pages.give_back(page));
        }
    }

    fn share_recent(&mut self, pages: &[u32]) {
        if let Some(recent) = &mut self.recent {
            pages.iter().for_each(|&page| recent.pages.share(page));
        }
    }

    /// The pages to begin a text with, and how many positions of it are in whole pages, though there
    /// may be no states to go on from there.
    fn find(&self, tokens: &[u32]) -> Option<(Found, usize)> {
        let prefixes = self.prefixes.as_ref()?;
        let mut found = prefixes.find(tokens);
        let known = found.path.len() * PAGE;
        loop {
            if self.is_recurrent() {
                let has_snapshot = |node: NodeId| prefixes.snapshot(node).is_some();
                let is_whole = |node: NodeId, n| n == prefixes.tokens(node).len();
                found.part =
                    found.part.filter(|&(node, n)| is_whole(node, n) && has_snapshot(node));
                if found.part.is_none() {
                    let last = found.path.iter().rposition(|&node| has_snapshot(node));
                    found.path.truncate(last.map_or(0, |last| last + 1));
                }
            }
            let Some(recent) = &self.recent else { break };
            let is_missing = |node: NodeId| prefixes.pages(node).recent.is_none();
            let first = recent.first(found.len());
            let Some(gap) = found.nodes().skip(first).rposition(is_missing) else { break };
            found.part = None;
            found.path.truncate(first + gap);
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
        let nodes: Vec<NodeId> = found.nodes().collect();
        to.known = known;
        let Some(&last) = nodes.last() else { return };
        prefixes.resume(last);
        to.pages = nodes.iter().map(|&node| prefixes.pages(node).all).collect();
        to.pages.iter().for_each(|&page| self.pages.share(page));
        if let Some(recent) = &mut self.recent {
            to.passed = recent.first(found.len());
            let kept = nodes.iter().skip(to.passed).filter_map(|&node| prefixes.pages(node).recent);
            to.recent = vec![NO_PAGE; to.passed];
            to.recent.extend(kept);
            to.recent[to.passed..].iter().for_each(|&page| recent.pages.share(page));
        }
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
        self.give_back_from(sequence, 0);
    }

    /// Gives a sequence's pages back, from one on.
    fn give_back_from(&mut self, sequence: &mut Sequence, first: usize) {
        sequence.pages.drain(first..).for_each(|page| self.pages.give_back(page));
        if first < sequence.recent.len() {
            let own = sequence.recent.drain(first..).filter(|&page| page != NO_PAGE);
            self.give_back_recent(own);
        }
        sequence.passed = sequence.passed.min(first);
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
        let pages = sequence.pages_at(sequence.len() / PAGE);
        let (node, evicted) = prefixes.insert(sequence.node, rest, pages);
        self.pages.share(pages.all);
        self.share_recent(pages.recent.as_slice());
        if let (Some(slot), Some(prefixes)) = (slot, &mut self.prefixes) {
            prefixes.keep(node, slot);
            self.copy_states(backend, sequence.slot, slot);
        }
        evicted.into_iter().for_each(|evicted| self.give_back(evicted));
    }

    /// Makes `to` a copy of a sequence, which shares its pages and its snapshots.
    pub fn fork(&mut self, backend: &mut dyn Backend, of: &Sequence, to: &mut Sequence) {
        self.give_back_from(to, 0);
        to.snapshots.drain(..).for_each(|snapshot| self.slots.give_back(snapshot.slot));
        self.copy_states(backend, of.slot, to.slot);
        to.tokens.clone_from(&of.tokens);
        to.node = of.node;
        to.known = of.known;
        let n_pages = of.len().div_ceil(PAGE);
        to.pages = of.pages[..n_pages].to_vec();
        to.recent = of.recent[..n_pages.min(of.recent.len())].to_vec();
        to.passed = of.passed;
        to.snapshots = of.snapshots.clone();
        to.pages.iter().for_each(|&page| self.pages.share(page));
        self.share_recent(&to.recent[to.passed..]);
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
        let own = sequence.pages.get(first).filter(|_| n > 0).map(|_| sequence.pages_at(first));
        if needed > self.n_ctx {
            return Err(Error::ContextFull { needed, n_ctx: self.n_ctx });
        }
        if !self.free_pages(missing, own) || !self.free_recent_pages(missing, own) {
            return Err(Error::MemoryFull { needed });
        }
        if let Some(page) = own.map(|own| own.all).filter(|&page| self.pages.is_shared(page)) {
            let copy = self.pages.take().expect("as was checked");
            for store in self.layers.iter().flatten().filter(|store| !store.slides) {
                backend.kv_copy_page(store.kv, page, copy);
            }
            for &cache in self.caches.iter().flatten() {
                backend.cache_copy_page(cache, page, copy);
            }
            self.pages.give_back(page);
            sequence.pages[first] = copy;
        }
        sequence.pages.extend((0..missing).filter_map(|_| self.pages.take()));
        let Some(recent) = &mut self.recent else { return Ok(()) };
        let own = own.and_then(|own| own.recent);
        if let Some(page) = own.filter(|&page| recent.pages.is_shared(page)) {
            let copy = recent.pages.take().expect("as was checked");
            for store in self.layers.iter().flatten().filter(|store| store.slides) {
                backend.kv_copy_page(store.kv, page, copy);
            }
            recent.pages.give_back(page);
            sequence.recent[first] = copy;
        }
        sequence.recent.extend((0..missing).filter_map(|_| recent.pages.take()));
        Ok(())
    }

    /// Has at least `n` pages free, and one more for a copy of `own` while that is shared, at the cost
    /// of what is kept of earlier sequences; returns whether there are.
    fn free_pages(&mut self, n: usize, own: Option<Pages>) -> bool {
        let own = own.map(|own| own.all);
        while self.pages.is_short(n, own) {
            let Some(prefixes) = &mut self.prefixes else { return false };
            // What shares a sequence's own page with it may just be what it was before.
            let in_use = |page| self.pages.n_users(page) > 1 + u32::from(own == Some(page));
            let Some(evicted) = prefixes.evict(in_use) else { return false };
            self.give_back(evicted);
        }
        true
    }

    /// The same for pages of layers on sliding windows.
    fn free_recent_pages(&mut self, n: usize, own: Option<Pages>) -> bool {
        let Some(recent) = &mut self.recent else { return true };
        let own = own.and_then(|own| own.recent);
        while recent.pages.is_short(n, own) {
            let Some(prefixes) = &mut self.prefixes else { return false };
            let in_use = |page| recent.pages.n_users(page) > 1 + u32::from(own == Some(page));
            let Some(page) = prefixes.evict_recent(in_use) else { return false };
            recent.pages.give_back(page);
        }
        true
    }

    /// Counts `tokens` as seen. A sequence with states that comes to the end of a page can return
    /// there.
    pub fn advance(&mut self, backend: &mut dyn Backend, sequence: &mut Sequence, tokens: &[u32]) {
        sequence.tokens.extend_from_slice(tokens);
        self.keep_whole_pages(sequence, tokens.len());
        self.give_back_passed(sequence);
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
        let len = sequence.len();
        for index in (len - n) / PAGE..len / PAGE {
            let Some(prefixes) = &mut self.prefixes else { return };
            let tokens = &sequence.tokens[index * PAGE..][..PAGE];
            let own = sequence.pages_at(index);
            let Some(node) = prefixes.child(sequence.node, tokens) else {
                let (node, evicted) = prefixes.insert(sequence.node, tokens, own);
                sequence.node = node;
                self.pages.share(own.all);
                self.share_recent(own.recent.as_slice());
                evicted.into_iter().for_each(|evicted| self.give_back(evicted));
                continue;
            };
            sequence.node = node;
            let Pages { all, recent } = prefixes.pages(node);
            sequence.pages[index] = all;
            self.pages.share(all);
            self.pages.give_back(own.all);
            match (recent, own.recent) {
                (Some(page), Some(own)) => {
                    sequence.recent[index] = page;
                    self.share_recent(&[page]);
                    self.give_back_recent([own]);
                }
                (None, Some(own)) => {
                    prefixes.keep_recent(node, own);
                    self.share_recent(&[own]);
                }
                (_, None) => {}
            }
        }
    }

    /// Gives back pages that the windows of a sequence have passed.
    fn give_back_passed(&mut self, sequence: &mut Sequence) {
        let Some(recent) = &mut self.recent else { return };
        let first = recent.first_kept(sequence.len());
        while sequence.passed < first {
            let page = &mut sequence.recent[sequence.passed];
            recent.pages.give_back(mem::replace(page, NO_PAGE));
            sequence.passed += 1;
        }
    }

    /// The greatest number of a sequence's positions up to `len` that it can go on from, and those
    /// pages for the windows from there that it has given back.
    fn way_back(&self, sequence: &Sequence, mut len: usize) -> (usize, Vec<u32>) {
        loop {
            if self.is_recurrent() {
                let mut before = sequence.snapshots.iter().rev().map(|snapshot| snapshot.len);
                len = before.find(|&snapshot| snapshot <= len).unwrap_or(0);
            }
            let Some(recent) = &self.recent else { return (len, Vec::new()) };
            let passed = recent.first(len)..sequence.passed.min(len.div_ceil(PAGE));
            let n_whole = sequence.len() / PAGE;
            let page = |index| {
                let prefixes = self.prefixes.as_ref()?;
                prefixes.pages(prefixes.ancestor(sequence.node, n_whole - 1 - index)).recent
            };
            let pages: Vec<Option<u32>> = passed.clone().map(page).collect();
            match pages.iter().rposition(Option::is_none) {
                Some(gap) => len = (passed.start + gap) * PAGE,
                None => return (len, pages.into_iter().flatten().collect()),
            }
        }
    }

    /// Forgets positions from `len` on, or from the last snapshot before that where the model has
    /// states, or earlier where windows that end there are gone, and returns how many are left.
    pub fn truncate(
        &mut self,
        backend: &mut dyn Backend,
        sequence: &mut Sequence,
        len: usize,
    ) -> usize {
        if len >= sequence.len() {
            return sequence.len();
        }
        let (left, pages) = self.way_back(sequence, len);
        let kept = sequence.snapshots.partition_point(|snapshot| snapshot.len <= left);
        for snapshot in sequence.snapshots.drain(kept..) {
            self.slots.give_back(snapshot.slot);
        }
        if let Some(snapshot) = sequence.snapshots.last().filter(|snapshot| snapshot.len == left) {
            self.copy_states(backend, snapshot.slot, sequence.slot);
        }
        if let Some(prefixes) = &self.prefixes {
            let n_pages = sequence.len() / PAGE - left / PAGE;
            sequence.node = prefixes.ancestor(sequence.node, n_pages);
        }
        sequence.tokens.truncate(left);
        self.give_back_from(sequence, left.div_ceil(PAGE));
        self.share_recent(&pages);
        let n_passed = sequence.passed - pages.len();
        sequence.recent[n_passed..sequence.passed].copy_from_slice(&pages);
        sequence.passed = n_passed;
        left
    }
}

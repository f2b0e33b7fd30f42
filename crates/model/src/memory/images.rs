//! What memory keeps of texts, taken out and put back.

use backend::{Backend, PAGE, Stored};

use super::Memory;
use super::prefixes::{NodeId, Pages, Prefixes, ROOT};

impl Memory {
    /// Bytes of a page of all layers but those on sliding windows.
    pub fn page_bytes(&self, backend: &dyn Backend) -> usize {
        self.of_page(0).map(|stored| backend.stored_bytes(stored)).sum()
    }

    /// Bytes of a page of layers on sliding windows.
    pub fn recent_bytes(&self, backend: &dyn Backend) -> usize {
        self.of_recent_page(0).map(|stored| backend.stored_bytes(stored)).sum()
    }

    /// Bytes of all layers' states.
    pub fn states_bytes(&self, backend: &dyn Backend) -> usize {
        self.of_slot(0).map(|stored| backend.stored_bytes(stored)).sum()
    }

    fn of_page(&self, page: u32) -> impl Iterator<Item = Stored> {
        let stores = self.layers.iter().flatten().filter(|store| !store.slides);
        let stores = stores.map(move |store| Stored::Page(store.kv, page));
        stores.chain(self.caches.iter().flatten().map(move |&rows| Stored::Rows(rows, page)))
    }

    fn of_recent_page(&self, page: u32) -> impl Iterator<Item = Stored> {
        let stores = self.layers.iter().flatten().filter(|store| store.slides);
        stores.map(move |store| Stored::Page(store.kv, page))
    }

    fn of_slot(&self, slot: u32) -> impl Iterator<Item = Stored> {
        self.states.iter().flatten().map(move |&state| Stored::State(state, slot))
    }

    /// Whole pages that are kept of the beginning of `tokens`, with states or without.
    pub fn n_known_pages(&self, tokens: &[u32]) -> usize {
        self.prefixes.as_ref().map_or(0, |prefixes| prefixes.find(tokens).path.len())
    }

    /// The node that stands for these tokens. For models without states its page may hold more.
    fn node_of(&self, prefixes: &Prefixes, tokens: &[u32]) -> Option<NodeId> {
        let (whole, rest) = tokens.as_chunks::<PAGE>();
        let last = whole.iter().try_fold(ROOT, |node, page| prefixes.child(node, page))?;
        match rest {
            [] => Some(last),
            rest if self.is_recurrent() => prefixes.child(last, rest),
            rest => prefixes.child_that_begins(last, rest),
        }
    }

    /// What is kept, and the node in it that stands for a text of some tokens.
    fn kept(&self, tokens: &[u32]) -> Option<(&Prefixes, NodeId)> {
        let prefixes = self.prefixes.as_ref().filter(|_| !tokens.is_empty())?;
        Some((prefixes, self.node_of(prefixes, tokens)?))
    }

    /// The bytes of the last page of a text.
    pub fn export_page(&self, backend: &dyn Backend, tokens: &[u32]) -> Option<Vec<u8>> {
        let (prefixes, node) = self.kept(tokens)?;
        let page = prefixes.pages(node).all;
        Some(export(backend, self.of_page(page), self.page_bytes(backend)))
    }

    /// The same of layers on sliding windows, where that is kept.
    pub fn export_recent(&self, backend: &dyn Backend, tokens: &[u32]) -> Option<Vec<u8>> {
        let (prefixes, node) = self.kept(tokens)?;
        let page = prefixes.pages(node).recent?;
        Some(export(backend, self.of_recent_page(page), self.recent_bytes(backend)))
    }

    /// The bytes of the states after a text, where they are kept.
    pub fn export_states(&self, backend: &dyn Backend, tokens: &[u32]) -> Option<Vec<u8>> {
        let (prefixes, node) = self.kept(tokens)?;
        let slot = prefixes.snapshot(node)?;
        Some(export(backend, self.of_slot(slot), self.states_bytes(backend)))
    }

    /// Keeps bytes as the last page of a text whose other pages are kept; returns whether it is kept
    /// now.
    pub fn import_page(&mut self, backend: &mut dyn Backend, tokens: &[u32], bytes: &[u8]) -> bool {
        let Some(prefixes) = &self.prefixes else { return false };
        if tokens.is_empty() || bytes.len() != self.page_bytes(backend) {
            return false;
        }
        if self.node_of(prefixes, tokens).is_some() {
            return true;
        }
        let (before, own) = tokens.split_at((tokens.len() - 1) / PAGE * PAGE);
        if self.node_of(prefixes, before).is_none() || !self.free_pages(1, None) {
            return false;
        }
        // The room may have been that of the page before.
        let Some(parent) = self.prefixes.as_ref().and_then(|all| self.node_of(all, before)) else {
            return false;
        };
        let Some(page) = self.pages.take() else { return false };
        import(backend, self.of_page(page), bytes);
        let Some(prefixes) = &mut self.prefixes else { return false };
        let (_, evicted) = prefixes.insert(parent, own, Pages { all: page, recent: None });
        evicted.into_iter().for_each(|evicted| self.give_back(evicted));
        true
    }

    /// Keeps bytes as the last page of layers on sliding windows, of a text whose pages are kept;
    /// returns whether it is kept now.
    pub fn import_recent(
        &mut self,
        backend: &mut dyn Backend,
        tokens: &[u32],
        bytes: &[u8],
    ) -> bool {
        let is_whole = bytes.len() == self.recent_bytes(backend) && self.recent.is_some();
        let Some((prefixes, node)) = self.kept(tokens).filter(|_| is_whole) else { return false };
        if prefixes.pages(node).recent.is_some() {
            return true;
        }
        if !self.free_recent_pages(1, None) {
            return false;
        }
        let Some(page) = self.recent.as_mut().and_then(|recent| recent.pages.take()) else {
            return false;
        };
        import(backend, self.of_recent_page(page), bytes);
        if let Some(prefixes) = &mut self.prefixes {
            prefixes.keep_recent(node, page);
        }
        true
    }

    /// Keeps bytes as the states after a text whose pages are kept; returns whether they are kept
    /// now.
    pub fn import_states(
        &mut self,
        backend: &mut dyn Backend,
        tokens: &[u32],
        bytes: &[u8],
    ) -> bool {
        let is_whole = bytes.len() == self.states_bytes(backend) && self.is_recurrent();
        let Some((prefixes, node)) = self.kept(tokens).filter(|_| is_whole) else { return false };
        if prefixes.snapshot(node).is_some() {
            return true;
        }
        let Some(slot) = self.take_slot() else { return false };
        import(backend, self.of_slot(slot), bytes);
        self.prefixes.as_mut().is_some_and(|prefixes| prefixes.keep(node, slot))
    }

    /// Forgets what is kept of a text alone: the pages at its end that neither sequences nor other
    /// texts use. Returns how many of its positions that is.
    pub fn forget(&mut self, tokens: &[u32]) -> usize {
        let Some(prefixes) = &self.prefixes else { return 0 };
        let found = prefixes.find(tokens);
        let len = found.len();
        let mut left = len;
        for (index, node) in found.nodes().enumerate().rev() {
            let Some(prefixes) = &mut self.prefixes else { break };
            let Some(evicted) = prefixes.remove_leaf(node, |page| self.pages.is_shared(page))
            else {
                break;
            };
            left = index * PAGE;
            self.give_back(evicted);
        }
        len - left
    }
}

fn export(backend: &dyn Backend, all: impl Iterator<Item = Stored>, n_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(n_bytes);
    all.for_each(|stored| backend.export(stored, &mut bytes));
    bytes
}

fn import(backend: &mut dyn Backend, all: impl Iterator<Item = Stored>, mut bytes: &[u8]) {
    for stored in all {
        let (own, rest) = bytes.split_at(backend.stored_bytes(stored));
        backend.import(stored, own);
        bytes = rest;
    }
}

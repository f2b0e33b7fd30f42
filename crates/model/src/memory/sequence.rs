//! One sequence's share of the memory.

use super::prefixes::{NodeId, Pages, ROOT};

/// One sequence's share of the memory.
#[derive(Debug)]
pub struct Sequence {
    pub(super) tokens: Vec<u32>,
    pub(super) pages: Vec<u32>,
    /// As many for layers on sliding windows, if there are any: from [`Self::passed`] on.
    pub(super) recent: Vec<u32>,
    /// Number of those that were given back.
    pub(super) passed: usize,
    /// Its last page that is filled, among what is kept for others.
    pub(super) node: NodeId,
    /// Positions of its text that others have had: these part there.
    pub(super) known: usize,
    pub(super) slot: u32,
    pub(super) snapshots: Vec<Snapshot>,
    /// The text that the model's encoder has read for it.
    pub(super) encoded: Option<Box<Sequence>>,
}

/// States as they were after `len` positions.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot {
    /// Positions seen then.
    pub len: usize,
    /// Where the states are.
    pub slot: u32,
}

impl Sequence {
    /// One that has seen nothing.
    pub(super) fn new(slot: u32, encoded: Option<Box<Self>>) -> Self {
        Self {
            tokens: Vec::new(),
            pages: Vec::new(),
            recent: Vec::new(),
            passed: 0,
            node: ROOT,
            known: 0,
            slot,
            snapshots: Vec::new(),
            encoded,
        }
    }

    /// The tokens seen.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Number of positions seen.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether nothing was seen yet.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Positions of its text that were known when it began, to the end of a page: a good place for
    /// a snapshot, as texts part there.
    pub fn known(&self) -> usize {
        self.known
    }

    /// Its pages, in the order of positions.
    pub fn pages(&self) -> &[u32] {
        &self.pages
    }

    /// The same for layers on sliding windows: those that the next position may see.
    pub fn recent_pages(&self) -> &[u32] {
        &self.recent
    }

    /// What it has of page `index`.
    pub(super) fn pages_at(&self, index: usize) -> Pages {
        let recent = self.recent.get(index).copied();
        Pages { all: self.pages[index], recent: recent.filter(|_| index >= self.passed) }
    }

    /// The text that the model's encoder has read for it, if the model has an encoder.
    pub fn encoded(&self) -> Option<&Self> {
        self.encoded.as_deref()
    }

    /// Slot of its states.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// Index of the snapshot that costs least to lose: the gap it leaves is small beside the way
    /// back to it. So snapshots are the denser, the newer they are.
    pub(super) fn most_dispensable(&self) -> usize {
        let lens: Vec<usize> = self.snapshots.iter().map(|snapshot| snapshot.len).collect();
        let loss = |i: usize| {
            let before = if i == 0 { 0 } else { lens[i - 1] };
            let after = lens.get(i + 1).copied().unwrap_or(self.len());
            (after - before) as f64 / (self.len() - lens[i]).max(1) as f64
        };
        let all = 0..lens.len();
        all.min_by(|&a, &b| loss(a).total_cmp(&loss(b))).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_thin_out_with_age() {
        let mut sequence = Sequence::new(0, None);
        for len in (64..=4096).step_by(64) {
            sequence.tokens.resize(len, 0);
            if sequence.snapshots.len() == 4 {
                sequence.snapshots.remove(sequence.most_dispensable());
            }
            sequence.snapshots.push(Snapshot { len, slot: 0 });
        }
        let lens: Vec<usize> = sequence.snapshots.iter().map(|snapshot| snapshot.len).collect();
        assert_eq!(lens[3], 4096);
        let back: Vec<usize> = lens.iter().map(|len| 4096 - len).collect();
        assert!(back[2] <= 512 && back[0] >= 1024, "{lens:?}");
    }
}

//! One sequence's share of the memory.

/// One sequence's share of the memory.
#[derive(Debug)]
pub struct Sequence {
    pub(super) pages: Vec<u32>,
    pub(super) len: usize,
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
            let after = lens.get(i + 1).copied().unwrap_or(self.len);
            (after - before) as f64 / (self.len - lens[i]).max(1) as f64
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
        let mut sequence =
            Sequence { pages: vec![], len: 0, slot: 0, snapshots: vec![], encoded: None };
        for len in (64..=4096).step_by(64) {
            sequence.len = len;
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

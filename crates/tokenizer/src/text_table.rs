/// A hash table from text to id that holds no text itself: the owner compares.
pub(crate) struct TextTable {
    /// Hash and id; at most half of the slots are in use.
    slots: Vec<(u64, u32)>,
}

const EMPTY: u32 = u32::MAX;

impl TextTable {
    /// A table with room for `n` texts.
    pub(crate) fn with_capacity(n: usize) -> Self {
        Self { slots: vec![(0, EMPTY); (n * 2).next_power_of_two().max(2)] }
    }

    /// The id of `text`; `text_of` gives the text of an id in the table.
    #[inline]
    pub(crate) fn find<'a>(&self, text: &[u8], text_of: impl Fn(u32) -> &'a [u8]) -> Option<u32> {
        let slot = self.slot(hash(text), |id| text_of(id) == text);
        let id = self.slots[slot].1;
        (id != EMPTY).then_some(id)
    }

    /// As [`TextTable::find`], but trusts the 64 bits of the hash: one cache
    /// miss instead of three.
    #[inline]
    pub(crate) fn find_hash(&self, text: &[u8]) -> Option<u32> {
        let id = self.slots[self.slot(hash(text), |_| true)].1;
        (id != EMPTY).then_some(id)
    }

    /// Maps `text` to `id`; false and no change if it is there already.
    pub(crate) fn insert<'a>(
        &mut self,
        text: &[u8],
        id: u32,
        text_of: impl Fn(u32) -> &'a [u8],
    ) -> bool {
        let hash = hash(text);
        let slot = self.slot(hash, |id| text_of(id) == text);
        let free = self.slots[slot].1 == EMPTY;
        if free {
            self.slots[slot] = (hash, id);
        }
        free
    }

    /// The slot with this hash whose id is the `right` one, or the free one where it belongs.
    #[inline]
    fn slot(&self, hash: u64, right: impl Fn(u32) -> bool) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let (other, id) = self.slots[slot];
            if id == EMPTY || (other == hash && right(id)) {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// Multiply-rotate over 8 bytes at a time; token texts are mostly shorter.
#[inline]
fn hash(text: &[u8]) -> u64 {
    let mut chunks = text.chunks_exact(8);
    let mut h = text.len() as u64;
    for chunk in &mut chunks {
        let word = chunk.try_into().map_or(0, u64::from_le_bytes);
        h = mix(h, word);
    }
    let mut last = [0; 8];
    let rest = chunks.remainder();
    last[..rest.len()].copy_from_slice(rest);
    mix(h, u64::from_le_bytes(last))
}

/// Folds both halves of a 128-bit product, so that every input bit reaches every output bit.
#[inline]
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xd1b5_4a32_d192_ed03);
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_inserted_and_the_first_of_equals() {
        let texts: Vec<String> = (0..1000).map(|i| format!("token {}", i % 900)).collect();
        let text_of = |id: u32| texts[id as usize].as_bytes();
        let mut table = TextTable::with_capacity(texts.len());
        for (id, text) in (0..).zip(&texts) {
            assert_eq!(table.insert(text.as_bytes(), id, text_of), id < 900);
        }
        for (id, text) in (0..1000).zip(&texts) {
            assert_eq!(table.find(text.as_bytes(), text_of), Some(id % 900));
        }
        assert_eq!(table.find(b"token", text_of), None);
        assert_eq!(TextTable::with_capacity(0).find(b"", text_of), None);
    }
}

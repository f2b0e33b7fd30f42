/// A hash table from text to id that holds no text itself: the owner compares.
pub(crate) struct TextTable {
    /// Part of the hash, and the id; at most half of the slots are in use.
    slots: Vec<(u32, u32)>,
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
        let (_, slot) = self.slot(text, text_of);
        let id = self.slots[slot].1;
        (id != EMPTY).then_some(id)
    }

    /// Maps `text` to `id`, also if it had another id before.
    pub(crate) fn insert<'a>(&mut self, text: &[u8], id: u32, text_of: impl Fn(u32) -> &'a [u8]) {
        let (tag, slot) = self.slot(text, text_of);
        self.slots[slot] = (tag, id);
    }

    /// The tag of `text` and its slot, or the free one where it belongs.
    #[inline]
    fn slot<'a>(&self, text: &[u8], text_of: impl Fn(u32) -> &'a [u8]) -> (u32, usize) {
        let hash = hash(text);
        let tag = (hash >> 32) as u32;
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let (other, id) = self.slots[slot];
            if id == EMPTY || (other == tag && text_of(id) == text) {
                return (tag, slot);
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
    fn finds_what_was_inserted_and_the_last_of_equals() {
        let texts: Vec<Vec<u8>> =
            (0..1000u32).map(|i| format!("token {}", i % 900).into()).collect();
        let text_of = |id: u32| texts[id as usize].as_slice();
        let mut table = TextTable::with_capacity(texts.len());
        for (id, text) in (0..).zip(&texts) {
            table.insert(text, id, text_of);
        }
        for (id, text) in (0..1000).zip(&texts) {
            assert_eq!(table.find(text, text_of), Some(if id < 100 { id + 900 } else { id }));
        }
        assert_eq!(table.find(b"token", text_of), None);
        assert_eq!(TextTable::with_capacity(0).find(b"", text_of), None);
    }
}

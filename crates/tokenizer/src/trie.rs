/// Finds the texts that a text starts with: a tree over their bytes.
///
/// A double array (Aoe 1989): a node's child by a byte lies at the node's
/// `base` xor the byte, if that slot's parent is the node.
pub(crate) struct Trie {
    /// A multiple of 256; the root is the first.
    slots: Vec<Slot>,
}

#[derive(Clone, Copy)]
struct Slot {
    parent: u32,
    base: u32,
    /// Of the text that ends here.
    id: u32,
}

const NONE: u32 = u32::MAX;

const FREE: Slot = Slot { parent: NONE, base: 0, id: NONE };

/// How many of the last blocks of 256 slots are searched for free ones. More
/// save memory, and cost time.
const WINDOW: usize = 4;

/// A place in a [`Trie`].
#[derive(Clone, Copy)]
pub(crate) struct Place(u32);

impl Trie {
    /// Of equal texts the last counts; empty ones are left out.
    pub(crate) fn new<'a>(texts: impl Iterator<Item = (&'a [u8], u32)>) -> Self {
        let mut texts: Vec<(&[u8], u32)> = texts.filter(|(text, _)| !text.is_empty()).collect();
        texts.sort_by_key(|(text, _)| *text);
        let mut slots = Slots::new();
        // The nodes of a depth, and which texts begin as they do.
        let mut level = vec![(0, 0..texts.len())];
        let mut depth = 0;
        while !level.is_empty() {
            let mut next = Vec::new();
            for (node, range) in level {
                let ended = texts[range.clone()].partition_point(|(text, _)| text.len() == depth);
                let longer = range.start + ended..range.end;
                if let Some((_, id)) = texts[range.start..longer.start].last() {
                    slots.all[node].id = *id;
                }
                if longer.is_empty() {
                    continue;
                }
                let children = next.len();
                let mut labels = Vec::new();
                let mut start = longer.start;
                for group in texts[longer].chunk_by(|a, b| a.0[depth] == b.0[depth]) {
                    labels.push(group[0].0[depth]);
                    next.push((0, start..start + group.len()));
                    start += group.len();
                }
                let base = slots.find_base(&labels);
                slots.all[node].base = base as u32;
                for (label, child) in labels.iter().zip(&mut next[children..]) {
                    child.0 = base ^ usize::from(*label);
                    slots.take(child.0, node);
                }
            }
            level = next;
            depth += 1;
        }
        Self { slots: slots.all }
    }

    /// The place after one byte, if any text starts with it.
    #[inline]
    pub(crate) fn start(&self, byte: u8) -> Option<Place> {
        self.step(Place(0), byte)
    }

    /// The place after one more byte, if any text goes on with it.
    #[inline]
    pub(crate) fn step(&self, place: Place, byte: u8) -> Option<Place> {
        let child = self.slots[place.0 as usize].base ^ u32::from(byte);
        let is_child = child != 0 && self.slots[child as usize].parent == place.0;
        is_child.then_some(Place(child))
    }

    /// The id of the text that ends here.
    #[inline]
    pub(crate) fn id(&self, place: Place) -> Option<u32> {
        let id = self.slots[place.0 as usize].id;
        (id != NONE).then_some(id)
    }

    /// How much of `text` is the beginning of any text.
    pub(crate) fn common(&self, text: &[u8]) -> usize {
        let mut place = text.first().and_then(|byte| self.start(*byte));
        let mut length = 0;
        while let Some(here) = place {
            length += 1;
            place = text.get(length).and_then(|byte| self.step(here, *byte));
        }
        length
    }

    /// The longest text that `text` starts with: its length and id.
    #[inline]
    pub(crate) fn longest(&self, text: &[u8]) -> Option<(usize, u32)> {
        self.matches(text).last()
    }

    /// All texts that `text` starts with, shortest first: length and id.
    #[inline]
    pub(crate) fn matches(&self, text: &[u8]) -> impl Iterator<Item = (usize, u32)> {
        let mut place = text.first().and_then(|byte| self.start(*byte));
        let mut length = 0;
        std::iter::from_fn(move || {
            while let Some(here) = place {
                length += 1;
                place = text.get(length).and_then(|byte| self.step(here, *byte));
                if let Some(id) = self.id(here) {
                    return Some((length, id));
                }
            }
            None
        })
    }
}

/// The slots while they are filled.
struct Slots {
    all: Vec<Slot>,
    /// One bit each.
    free: Vec<u64>,
}

impl Slots {
    /// A block with the root.
    fn new() -> Self {
        let mut this = Self { all: Vec::new(), free: Vec::new() };
        this.add_block();
        this.take(0, 0);
        this
    }

    fn add_block(&mut self) {
        self.all.resize(self.all.len() + 256, FREE);
        self.free.resize(self.free.len() + 4, u64::MAX);
    }

    fn take(&mut self, slot: usize, parent: usize) {
        self.all[slot].parent = parent as u32;
        self.free[slot / 64] &= !(1 << (slot % 64));
    }

    /// A base whose slots for all `labels` are free.
    fn find_base(&mut self, labels: &[u8]) -> usize {
        let is_free = |slot: usize| self.free[slot / 64] >> (slot % 64) & 1 == 1;
        let end = self.free.len();
        for word in end.saturating_sub(WINDOW * 4)..end {
            let mut bits = self.free[word];
            while bits != 0 {
                let slot = word * 64 + bits.trailing_zeros() as usize;
                let base = slot ^ usize::from(labels[0]);
                if labels.iter().all(|label| is_free(base ^ usize::from(*label))) {
                    return base;
                }
                bits &= bits - 1;
            }
        }
        let base = self.all.len();
        self.add_block();
        base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trie(texts: &[&str]) -> Trie {
        Trie::new(texts.iter().map(|text| text.as_bytes()).zip(0..))
    }

    #[test]
    fn finds_all_texts_that_a_text_starts_with() {
        let trie = trie(&["abc", "", "b", "a", "abd", "a", "\u{2581}x"]);
        let matches = |text: &str| trie.matches(text.as_bytes()).collect::<Vec<_>>();
        assert_eq!(matches("abcd"), [(1, 5), (3, 0)]);
        assert_eq!(matches("ab"), [(1, 5)]);
        assert_eq!(matches("ba"), [(1, 2)]);
        assert_eq!(matches("\u{2581}x"), [(4, 6)]);
        assert_eq!(matches("\u{2581}"), []);
        assert_eq!(matches(""), []);
        assert_eq!(trie.longest(b"abdabc"), Some((3, 4)));
        assert_eq!(trie.longest(b"x"), None);
        assert_eq!([trie.common(b"abx"), trie.common(b"x"), trie.common(b"abcd")], [2, 0, 3]);
    }

    #[test]
    fn an_empty_one_finds_nothing() {
        assert_eq!(trie(&[]).longest(b"a"), None);
        assert_eq!(trie(&[""]).longest(b"a"), None);
    }

    #[test]
    fn all_bytes_may_branch() {
        let texts: Vec<[u8; 2]> = (0..=255).map(|b| [255, b]).collect();
        let trie = Trie::new(texts.iter().map(|t| t.as_slice()).zip(0..));
        for text in &texts {
            assert_eq!(trie.longest(text), Some((2, u32::from(text[1]))));
        }
    }
}

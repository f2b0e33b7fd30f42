/// Finds the texts that a text starts with: a tree over their bytes.
///
/// The children of a node lie side by side, in the order of their bytes.
pub(crate) struct Trie {
    nodes: Vec<Node>,
    /// The byte that leads to each node.
    bytes: Vec<u8>,
    /// The children of the root by byte; no node is the child 0.
    first: Box<[u32; 256]>,
}

#[derive(Clone, Copy)]
struct Node {
    children: u32,
    count: u16,
    id: u32,
}

const NO_ID: u32 = u32::MAX;

/// A place in a [`Trie`].
#[derive(Clone, Copy)]
pub(crate) struct Place(u32);

impl Trie {
    /// Of equal texts the last counts; empty ones are left out.
    pub(crate) fn new<'a>(texts: impl Iterator<Item = (&'a [u8], u32)>) -> Self {
        let mut texts: Vec<(&[u8], u32)> = texts.filter(|(text, _)| !text.is_empty()).collect();
        texts.sort_by_key(|(text, _)| *text);
        let mut trie = Self {
            nodes: vec![Node { children: 0, count: 0, id: NO_ID }],
            bytes: vec![0],
            first: Box::new([0; 256]),
        };
        // Each level's nodes with the texts below them, in order.
        let mut level = vec![(0, 0..texts.len())];
        let mut depth = 0;
        while !level.is_empty() {
            let mut next = Vec::new();
            for (node, range) in level {
                trie.nodes[node].children = trie.nodes.len() as u32;
                let below = &texts[range.clone()];
                let ended = below.partition_point(|(text, _)| text.len() == depth);
                if let Some((_, id)) = below[..ended].last() {
                    trie.nodes[node].id = *id;
                }
                let mut start = range.start + ended;
                for group in below[ended..].chunk_by(|a, b| a.0[depth] == b.0[depth]) {
                    next.push((trie.nodes.len(), start..start + group.len()));
                    start += group.len();
                    trie.nodes[node].count += 1;
                    trie.nodes.push(Node { children: 0, count: 0, id: NO_ID });
                    trie.bytes.push(group[0].0[depth]);
                }
            }
            level = next;
            depth += 1;
        }
        for child in 1..=trie.nodes[0].count as u32 {
            trie.first[trie.bytes[child as usize] as usize] = child;
        }
        trie
    }

    /// The place after one byte, if any text starts with it.
    #[inline]
    pub(crate) fn start(&self, byte: u8) -> Option<Place> {
        let child = self.first[byte as usize];
        (child != 0).then_some(Place(child))
    }

    /// The place after one more byte, if any text goes on with it.
    #[inline]
    pub(crate) fn step(&self, place: Place, byte: u8) -> Option<Place> {
        let node = self.nodes[place.0 as usize];
        let children = node.children as usize..node.children as usize + node.count as usize;
        let at = self.bytes[children].iter().position(|b| *b == byte)?;
        Some(Place(node.children + at as u32))
    }

    /// The id of the text that ends here.
    #[inline]
    pub(crate) fn id(&self, place: Place) -> Option<u32> {
        let id = self.nodes[place.0 as usize].id;
        (id != NO_ID).then_some(id)
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

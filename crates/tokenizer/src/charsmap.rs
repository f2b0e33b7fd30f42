use crate::Error;

/// The replacements of characters that a SentencePiece model prescribes.
///
/// `precompiled_charsmap` is the byte length of a double array (Kanda 2018,
/// as in darts-clone), the array, and replacements that end in zero bytes.
/// An item of the array has the byte that leads to it in bits 0 to 7, whether
/// a replacement belongs to it in bit 8, and where its children begin in bits
/// 9 to 30; the items of replacements have their place.
#[derive(Default)]
pub(crate) struct Charsmap {
    items: Vec<u32>,
    replacements: Vec<u8>,
}

impl Charsmap {
    /// An empty `bytes` replaces nothing.
    pub(crate) fn new(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let (size, rest) = bytes.split_first_chunk().ok_or(Error::Charsmap)?;
        let size = u32::from_le_bytes(*size) as usize;
        let (items, replacements) = rest.split_at_checked(size).ok_or(Error::Charsmap)?;
        if replacements.last() != Some(&0) {
            return Err(Error::Charsmap);
        }
        let (items, _) = items.as_chunks();
        Ok(Self {
            items: items.iter().map(|item| u32::from_le_bytes(*item)).collect(),
            replacements: replacements.to_vec(),
        })
    }

    /// Whether anything that is replaced may start with `byte`.
    pub(crate) fn starts(&self, byte: u8) -> bool {
        let Some(root) = self.items.first() else { return false };
        let item = self.items.get((children(*root) ^ u32::from(byte)) as usize);
        byte != 0 && item.is_some_and(|item| item & LABEL == u32::from(byte))
    }

    /// The longest start of `text` that is replaced: its length and what with.
    #[inline]
    pub(crate) fn longest(&self, text: &[u8]) -> Option<(usize, &[u8])> {
        let mut found = None;
        let mut at = children(*self.items.first()?);
        for (length, byte) in (1..).zip(text).take_while(|(_, byte)| **byte != 0) {
            at ^= u32::from(*byte);
            let Some(&item) = self.items.get(at as usize) else { break };
            if item & LABEL != u32::from(*byte) {
                break;
            }
            at ^= children(item);
            if item >> 8 & 1 == 1 {
                found = self.items.get(at as usize).map(|item| (length, item & !(1 << 31)));
            }
        }
        let (length, start) = found?;
        let replacement = self.replacements.get(start as usize..)?;
        let end = replacement.iter().position(|byte| *byte == 0)?;
        Some((length, &replacement[..end]))
    }
}

/// The byte of an item; no byte for the items of replacements.
const LABEL: u32 = 1 << 31 | 0xff;

/// Where the children of an item begin, to be combined with their bytes.
fn children(item: u32) -> u32 {
    (item >> 10) << ((item & 1 << 9) >> 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charsmap(items: &[u32], replacements: &[u8]) -> Vec<u8> {
        let size = (items.len() * 4) as u32;
        let items = items.iter().flat_map(|item| item.to_le_bytes());
        size.to_le_bytes().into_iter().chain(items).chain(replacements.iter().copied()).collect()
    }

    /// Replaces byte 1 by "x" and bytes 1 2 by nothing.
    fn example() -> Vec<u8> {
        let mut items = [0; 16];
        items[0] = 4 << 10;
        items[4 ^ 1] = (5 ^ 8) << 10 | 1 << 8 | 1;
        items[8] = 1 << 31;
        items[8 ^ 2] = (10 ^ 12) << 10 | 1 << 8 | 2;
        items[12] = 1 << 31 | 2;
        charsmap(&items, b"x\0\0")
    }

    #[test]
    fn the_longest_counts() {
        let map = Charsmap::new(&example()).expect("a map");
        assert_eq!(map.longest(&[1, 1]), Some((1, b"x".as_slice())));
        assert_eq!(map.longest(&[1, 2, 1]), Some((2, b"".as_slice())));
        assert_eq!(map.longest(&[2]), None);
        assert_eq!(map.longest(&[]), None);
        assert_eq!(Charsmap::default().longest(&[1]), None);
    }

    #[test]
    fn broken_maps_are_errors_or_replace_nothing() {
        let good = example();
        for length in 1..good.len() {
            assert!(Charsmap::new(&good[..length]).is_err() || good[length - 1] == 0);
        }
        assert!(Charsmap::new(&[255; 8]).is_err());
        // Every item points far away.
        let map = Charsmap::new(&charsmap(&[u32::MAX; 8], &[0])).expect("a map");
        for byte in 0..=255 {
            assert_eq!(map.longest(&[byte, byte]), None);
        }
    }
}

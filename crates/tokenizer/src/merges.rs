use std::collections::HashMap;

use crate::Error;
use crate::byte_chars::CHAR_OF_BYTE;
use crate::text_table::mix;
use crate::vocab::Vocab;

/// The merges of a BPE vocabulary, by pairs of symbols.
///
/// A symbol is a token, or a text that only occurs inside merges; the latter
/// are numbered from the vocabulary's size on.
pub(crate) struct Merges {
    /// Open addressing: pair and rank; at most half of the slots are in use.
    slots: Vec<(u64, u32)>,
    /// The symbol each merge yields, by rank.
    results: Vec<u32>,
    /// The symbol of each byte.
    bytes: [u32; 256],
    /// Texts of the symbols that are no tokens.
    extra: Vec<Box<[u8]>>,
}

const EMPTY: u32 = u32::MAX;

impl Merges {
    pub(crate) fn new(merges: &[&[u8]], vocab: &Vocab) -> Result<Self, Error> {
        if merges.len() >= 1 << 31 {
            return Err(Error::TooLarge);
        }
        let mut symbols = Symbols { vocab, extra: Vec::new(), ids: HashMap::new() };
        let mut this = Self {
            slots: vec![(0, EMPTY); (merges.len() * 2).next_power_of_two().max(2)],
            results: vec![EMPTY; merges.len()],
            bytes: CHAR_OF_BYTE.map(|c| symbols.intern(c.encode_utf8(&mut [0; 4]).as_bytes())),
            extra: Vec::new(),
        };
        let mut joined = Vec::new();
        for (rank, merge) in (0..).zip(merges) {
            // A first character of a space would belong to the left part.
            let space = merge.iter().skip(1).position(|b| *b == b' ');
            let Some((left, right)) = space.map(|at| (&merge[..at + 1], &merge[at + 2..])) else {
                continue;
            };
            joined.clear();
            joined.extend_from_slice(left);
            joined.extend_from_slice(right);
            let pair = pair(symbols.intern(left), symbols.intern(right));
            let slot = this.slot(pair);
            // Of equal merges the first counts.
            if this.slots[slot].1 == EMPTY {
                this.slots[slot] = (pair, rank);
                this.results[rank as usize] = symbols.intern(&joined);
            }
        }
        this.extra = symbols.extra;
        Ok(this)
    }

    /// The symbol of one byte of text.
    pub(crate) fn byte(&self, byte: u8) -> u32 {
        self.bytes[byte as usize]
    }

    /// The rank of merging two symbols, lower is better; `None` if they don't merge.
    #[inline]
    pub(crate) fn rank(&self, left: u32, right: u32) -> Option<u32> {
        let rank = self.slots[self.slot(pair(left, right))].1;
        (rank != EMPTY).then_some(rank)
    }

    /// The symbol that the merge of this rank yields.
    pub(crate) fn result(&self, rank: u32) -> u32 {
        self.results[rank as usize]
    }

    /// The text of a symbol that is no token of a vocabulary of `n` tokens.
    pub(crate) fn extra_text(&self, symbol: u32, n: usize) -> Option<&[u8]> {
        self.extra.get((symbol as usize).checked_sub(n)?).map(|text| &**text)
    }

    /// The slot of a pair, or the free one where it belongs.
    #[inline]
    fn slot(&self, pair: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = mix(pair, 0) as usize & mask;
        while self.slots[slot].1 != EMPTY && self.slots[slot].0 != pair {
            slot = (slot + 1) & mask;
        }
        slot
    }
}

fn pair(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

/// Gives numbers to texts while the merges are read.
struct Symbols<'a> {
    vocab: &'a Vocab,
    extra: Vec<Box<[u8]>>,
    ids: HashMap<Box<[u8]>, u32>,
}

impl Symbols<'_> {
    fn intern(&mut self, text: &[u8]) -> u32 {
        if let Some(id) = self.vocab.find(text).or_else(|| self.ids.get(text).copied()) {
            return id;
        }
        // Both lengths are below 2^31 and three symbols come of one merge at most:
        // files of that size don't fit in memory.
        let id = (self.vocab.len() + self.extra.len()) as u32;
        self.extra.push(text.into());
        self.ids.insert(text.into(), id);
        id
    }
}

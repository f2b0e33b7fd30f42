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
    /// Open addressing: part of the hash, and the rank; at most three quarters are in use.
    slots: Vec<(u32, u32)>,
    /// By rank.
    rules: Vec<Rule>,
    /// The symbol of each byte.
    bytes: [u32; 256],
    /// Texts of the symbols that are no tokens.
    extra: Vec<Box<[u8]>>,
    /// Their numbers.
    extra_ids: HashMap<Box<[u8]>, u32>,
}

/// One merge: a pair of symbols becomes one.
#[derive(Clone, Copy)]
struct Rule {
    pair: (u32, u32),
    result: u32,
}

const EMPTY: u32 = u32::MAX;

impl Merges {
    pub(crate) fn new(merges: &[&[u8]], vocab: &Vocab) -> Result<Self, Error> {
        if merges.len() >= 1 << 31 {
            return Err(Error::TooLarge);
        }
        let mut symbols = Symbols { vocab, last: 0, extra: Vec::new(), ids: HashMap::new() };
        let room = (merges.len() + merges.len() / 3 + 2).next_power_of_two();
        let mut this = Self {
            slots: vec![(0, EMPTY); room],
            rules: Vec::with_capacity(merges.len()),
            bytes: CHAR_OF_BYTE.map(|c| symbols.intern(c.encode_utf8(&mut [0; 4]).as_bytes())),
            extra: Vec::new(),
            extra_ids: HashMap::new(),
        };
        let mut joined = Vec::new();
        for merge in merges {
            // A first character of a space would belong to the left part.
            let space = merge.iter().skip(1).position(|b| *b == b' ');
            let Some((left, right)) = space.map(|at| (&merge[..at + 1], &merge[at + 2..])) else {
                continue;
            };
            joined.clear();
            joined.extend_from_slice(left);
            joined.extend_from_slice(right);
            let pair = (symbols.intern(left), symbols.intern(right));
            this.push(Rule { pair, result: symbols.intern_result(&joined) });
        }
        this.extra = symbols.extra;
        this.extra_ids = symbols.ids;
        Ok(this)
    }

    /// Adds the next worse rule; of equal pairs the first counts.
    fn push(&mut self, rule: Rule) {
        let (tag, slot) = self.slot(rule.pair);
        if self.slots[slot].1 == EMPTY {
            self.slots[slot] = (tag, self.rules.len() as u32);
            self.rules.push(rule);
        }
    }

    /// The symbol with this text.
    pub(crate) fn find(&self, vocab: &Vocab, text: &[u8]) -> Option<u32> {
        vocab.find(text).or_else(|| self.extra_ids.get(text).copied())
    }

    /// The symbol of one byte of text.
    pub(crate) fn byte(&self, byte: u8) -> u32 {
        self.bytes[byte as usize]
    }

    /// The rank of merging two symbols, lower is better; `None` if they don't merge.
    #[inline]
    pub(crate) fn rank(&self, left: u32, right: u32) -> Option<u32> {
        let (_, slot) = self.slot((left, right));
        let rank = self.slots[slot].1;
        (rank != EMPTY).then_some(rank)
    }

    /// The symbol that the merge of this rank yields.
    pub(crate) fn result(&self, rank: u32) -> u32 {
        self.rules[rank as usize].result
    }

    /// The text of a symbol that is no token of a vocabulary of `n` tokens.
    pub(crate) fn extra_text(&self, symbol: u32, n: usize) -> Option<&[u8]> {
        self.extra.get((symbol as usize).checked_sub(n)?).map(|text| &**text)
    }

    /// The tag of a pair and its slot, or the free one where it belongs.
    #[inline]
    fn slot(&self, pair: (u32, u32)) -> (u32, usize) {
        let hash = mix(u64::from(pair.0) << 32 | u64::from(pair.1), 0);
        let tag = (hash >> 32) as u32;
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let (other, rank) = self.slots[slot];
            if rank == EMPTY || (other == tag && self.rules[rank as usize].pair == pair) {
                return (tag, slot);
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// Gives numbers to texts while the merges are read.
struct Symbols<'a> {
    vocab: &'a Vocab,
    /// The last result.
    last: u32,
    extra: Vec<Box<[u8]>>,
    ids: HashMap<Box<[u8]>, u32>,
}

impl Symbols<'_> {
    /// The symbol of a merge's result. Vocabularies are mostly in the order of
    /// the merges: looking at the last and the next token first halves the load time.
    fn intern_result(&mut self, text: &[u8]) -> u32 {
        let near = [self.last, self.last.wrapping_add(1)];
        let found = near.into_iter().find(|id| self.vocab.text(*id) == text);
        self.last = found.unwrap_or_else(|| self.intern(text));
        self.last
    }

    fn intern(&mut self, text: &[u8]) -> u32 {
        if let Some(id) = self.vocab.find_fast(text).or_else(|| self.ids.get(text).copied()) {
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

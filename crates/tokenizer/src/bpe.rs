use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Error;
use crate::byte_chars::CHAR_OF_BYTE;
use crate::merges::Merges;
use crate::parts::{MERGES, Parts};
use crate::pre::{self, PreTokenizer};
use crate::vocab::Vocab;

/// Byte-level byte-pair encoding (Sennrich et al. 2016, as in GPT-2).
pub(crate) struct Bpe {
    merges: Merges,
    pre: &'static PreTokenizer,
}

impl Bpe {
    pub(crate) fn new(parts: &Parts, vocab: &Vocab) -> Result<Self, Error> {
        let pre = pre::find(parts.pre).ok_or_else(|| Error::UnknownPreTokenizer {
            name: parts.pre.to_owned(),
            known: pre::names().collect::<Vec<_>>().join(", "),
        })?;
        let merges = parts.merges.as_deref().ok_or(Error::Missing(MERGES))?;
        Ok(Self { merges: Merges::new(merges, vocab)?, pre })
    }

    /// Whether text starts with the BOS token when the file does not say.
    pub(crate) fn add_bos(&self) -> bool {
        self.pre.add_bos
    }

    /// Appends the tokens of `text`, which holds no special tokens.
    pub(crate) fn encode(&self, vocab: &Vocab, text: &str, out: &mut Vec<u32>) {
        let mut scratch = Scratch::default();
        self.pre.split(text, &mut |word| {
            if self.pre.ignore_merges {
                scratch.text.clear();
                scratch.text.extend(word.bytes().map(|b| CHAR_OF_BYTE[b as usize]));
                if let Some(id) = vocab.find(scratch.text.as_bytes()) {
                    return out.push(id);
                }
            }
            self.merge(word, &mut scratch);
            self.emit(vocab, &scratch.symbols, out);
        });
    }

    /// Merges the bytes of `word`, best rank first and leftmost first among equals.
    fn merge(&self, word: &str, scratch: &mut Scratch) {
        let Scratch { symbols, queue, .. } = scratch;
        symbols.clear();
        queue.clear();
        let n = word.len();
        symbols.extend(word.bytes().enumerate().map(|(i, b)| Symbol {
            id: self.merges.byte(b),
            prev: i.wrapping_sub(1),
            next: i + 1,
        }));
        for left in 1..n {
            self.enqueue(symbols, queue, left - 1, left);
        }
        while let Some(Reverse(candidate)) = queue.pop() {
            let left = candidate.left;
            let right = symbols[left].next;
            if right >= n || (symbols[left].id, symbols[right].id) != candidate.pair {
                continue; // one of the two has since been merged
            }
            symbols[left].id = self.merges.result(candidate.rank);
            symbols[right].id = MERGED;
            let next = symbols[right].next;
            symbols[left].next = next;
            if next < n {
                symbols[next].prev = left;
                self.enqueue(symbols, queue, left, next);
            }
            let prev = symbols[left].prev;
            if prev < n {
                self.enqueue(symbols, queue, prev, left);
            }
        }
    }

    fn enqueue(&self, symbols: &[Symbol], queue: &mut Queue, left: usize, right: usize) {
        let pair = (symbols[left].id, symbols[right].id);
        if let Some(rank) = self.merges.rank(pair.0, pair.1) {
            queue.push(Reverse(Candidate { rank, left, pair }));
        }
    }

    fn emit(&self, vocab: &Vocab, symbols: &[Symbol], out: &mut Vec<u32>) {
        for symbol in symbols.iter().filter(|s| s.id != MERGED) {
            match self.merges.extra_text(symbol.id, vocab.len()) {
                None => out.push(symbol.id),
                // No token: llama.cpp takes the tokens of its single bytes, where they exist.
                Some(text) => out.extend(text.iter().filter_map(|b| vocab.find(&[*b]))),
            }
        }
    }
}

/// Id of a symbol that its left neighbour took in.
const MERGED: u32 = u32::MAX;

#[derive(Default)]
struct Scratch {
    text: String,
    symbols: Vec<Symbol>,
    queue: Queue,
}

type Queue = BinaryHeap<Reverse<Candidate>>;

/// A node of the list of symbols; neighbours out of range are none.
struct Symbol {
    id: u32,
    prev: usize,
    next: usize,
}

/// A possible merge of a symbol with its right neighbour.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    rank: u32,
    left: usize,
    /// The symbols when it was found.
    pair: (u32, u32),
}

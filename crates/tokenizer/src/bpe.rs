use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Error;
use crate::byte_chars::CHAR_OF_BYTE;
use crate::merges::Merges;
use crate::parts::{MERGES, Parts};
use crate::pre::{self, PreTokenizer, Spelling};
use crate::spm::{SPACE, escape_spaces};
use crate::vocab::Vocab;

/// Byte-pair encoding (Sennrich et al. 2016), over bytes as in GPT-2 or over
/// characters as in SentencePiece.
pub(crate) struct Bpe {
    merges: Merges,
    pre: &'static PreTokenizer,
    /// The tokens `<0xXX>`, for characters that have none.
    bytes: [Option<u32>; 256],
}

impl Bpe {
    /// Pre-tokenizes as `pre` says.
    pub(crate) fn new(parts: &Parts, pre: &str, vocab: &Vocab) -> Result<Self, Error> {
        let pre = pre::find(pre).ok_or_else(|| Error::UnknownPreTokenizer {
            name: pre.to_owned(),
            known: pre::names().collect::<Vec<_>>().join(", "),
        })?;
        let merges = match &parts.merges {
            Some(merges) => merges.as_slice(),
            None if parts.pre == "kimi-k2" => &[],
            None => return Err(Error::Missing(MERGES)),
        };
        let mut bytes = [None; 256];
        for byte in 0..=255u8 {
            bytes[byte as usize] = vocab.find_byte(byte);
        }
        Ok(Self { merges: Merges::new(merges, vocab)?, pre, bytes })
    }

    /// What the pre-tokenizer's name implies.
    pub(crate) fn pre(&self) -> &'static PreTokenizer {
        self.pre
    }

    /// `text`, which holds no special tokens, as the vocabulary spells it.
    pub(crate) fn normalize<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.pre.spelling {
            Spelling::ByteChars | Spelling::Plain => Cow::Borrowed(text),
            Spelling::Spaces => Cow::Owned(escape_spaces(text, String::new())),
            Spelling::SpacesAndLines => {
                let lines = escape_spaces(text, String::new());
                let mut marked = String::with_capacity(lines.len() + lines.len() / 8);
                for line in lines.split_inclusive('\n') {
                    if !line.starts_with(['\n', '\u{2581}']) {
                        marked.push_str(SPACE);
                    }
                    marked.push_str(line);
                }
                Cow::Owned(marked)
            }
        }
    }

    /// Appends the tokens of normalized text.
    pub(crate) fn encode(&self, vocab: &Vocab, text: &str, out: &mut Vec<u32>) {
        let mut scratch = Scratch::default();
        self.pre.split(text, &mut |word| {
            if let Some(id) = self.whole(vocab, word, &mut scratch.text) {
                return out.push(id);
            }
            let Scratch { symbols, queue, .. } = &mut scratch;
            symbols.clear();
            match self.pre.spelling {
                Spelling::ByteChars => {
                    symbols.extend(word.bytes().map(|b| self.merges.byte(b)).map(Symbol::new));
                    self.merge(symbols, queue);
                    self.emit_bytes(vocab, symbols, out);
                }
                _ => {
                    let mut utf8 = [0; 4];
                    let mut id =
                        |c: char| self.merges.find(vocab, c.encode_utf8(&mut utf8).as_bytes());
                    symbols.extend(word.chars().map(|c| id(c).unwrap_or(NONE)).map(Symbol::new));
                    self.merge(symbols, queue);
                    self.emit_chars(vocab, word, symbols, out);
                }
            }
        });
    }

    /// The token of the whole word, if the merges are not to be asked.
    fn whole(&self, vocab: &Vocab, word: &str, spelt: &mut String) -> Option<u32> {
        if self.pre.whole_newlines && word.starts_with('\n') {
            return vocab.find(word.as_bytes());
        }
        if !self.pre.ignore_merges {
            return None;
        }
        spelt.clear();
        spelt.extend(word.bytes().map(|b| CHAR_OF_BYTE[b as usize]));
        vocab.find(spelt.as_bytes())
    }

    /// Merges neighbours, best rank first and leftmost first among equals.
    fn merge(&self, symbols: &mut [Symbol], queue: &mut Queue) {
        let n = symbols.len();
        queue.clear();
        for (i, symbol) in symbols.iter_mut().enumerate() {
            (symbol.prev, symbol.next) = (i.wrapping_sub(1), i + 1);
        }
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

    fn emit_bytes(&self, vocab: &Vocab, symbols: &[Symbol], out: &mut Vec<u32>) {
        for symbol in symbols.iter().filter(|s| s.id != MERGED) {
            match self.merges.extra_text(symbol.id, vocab.len()) {
                None => out.push(symbol.id),
                // No token: llama.cpp takes the tokens of its single bytes, where they exist.
                Some(text) => out.extend(text.iter().filter_map(|b| vocab.find(&[*b]))),
            }
        }
    }

    fn emit_chars(&self, vocab: &Vocab, word: &str, symbols: &[Symbol], out: &mut Vec<u32>) {
        for (symbol, c) in symbols.iter().zip(word.chars()).filter(|(s, _)| s.id != MERGED) {
            let mut utf8 = [0; 4];
            let text = match symbol.id {
                NONE => Some(c.encode_utf8(&mut utf8).as_bytes()),
                id => self.merges.extra_text(id, vocab.len()),
            };
            match text {
                None => out.push(symbol.id),
                Some(text) => out.extend(text.iter().filter_map(|b| self.bytes[*b as usize])),
            }
        }
    }
}

/// Id of a symbol that its left neighbour took in.
const MERGED: u32 = u32::MAX;

/// Id of a character that neither the vocabulary nor the merges know.
const NONE: u32 = u32::MAX - 1;

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

impl Symbol {
    /// A symbol without neighbours.
    fn new(id: u32) -> Self {
        Self { id, prev: 0, next: 0 }
    }
}

/// A possible merge of a symbol with its right neighbour.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    rank: u32,
    left: usize,
    /// The symbols when it was found.
    pair: (u32, u32),
}

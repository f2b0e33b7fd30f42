use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Error;
use crate::neighbours::Neighbours;
use crate::parts::Parts;
use crate::vocab::Vocab;

/// SentencePiece with scores: neighbours that form a token merge, best score first.
pub(crate) struct Spm {
    /// One per token.
    scores: Vec<f32>,
    /// The token of each byte, for text that forms no token.
    bytes: [Option<u32>; 256],
    neighbours: Neighbours,
}

/// What SentencePiece writes for a space.
pub(crate) const SPACE: &str = "\u{2581}";

/// Appends `text` with [`SPACE`] for spaces to `out`.
pub(crate) fn escape_spaces(text: &str, mut out: String) -> String {
    out.reserve(text.len() + text.len() / 2);
    let mut words = text.split(' ');
    out.extend(words.next());
    for word in words {
        out.push_str(SPACE);
        out.push_str(word);
    }
    out
}

impl Spm {
    pub(crate) fn new(parts: &Parts, vocab: &Vocab) -> Result<Self, Error> {
        let scores = parts.scores()?;
        if let Some(id) = scores.iter().position(|score| score.is_nan()) {
            return Err(Error::Score { id, score: scores[id] });
        }
        let mut bytes = [None; 256];
        for byte in 0..=255u8 {
            bytes[byte as usize] = vocab.find_byte(byte).or_else(|| vocab.find(&[byte]));
        }
        let texts = vocab.texts().filter_map(|(text, _)| std::str::from_utf8(text).ok());
        Ok(Self { scores, bytes, neighbours: Neighbours::new(texts) })
    }

    /// Appends the tokens of `text`, which holds no special tokens; `prefix`
    /// puts a space before it. `unknown` stands for bytes that have no token.
    pub(crate) fn encode(
        &self,
        vocab: &Vocab,
        text: &str,
        prefix: bool,
        unknown: Option<u32>,
        out: &mut Vec<u32>,
    ) {
        let prefix = if prefix { SPACE } else { "" };
        let escaped = escape_spaces(text, prefix.to_owned());
        let mut scratch = Scratch::default();
        self.neighbours.split(&escaped, |part| {
            self.merge(vocab, part, &mut scratch);
            for symbol in scratch.symbols.iter().filter(|s| s.len > 0) {
                let text = &part.as_bytes()[symbol.start..symbol.start + symbol.len];
                match symbol.id.or_else(|| vocab.find(text)) {
                    Some(id) => out.push(id),
                    None => {
                        let ids = text.iter().map(|b| self.bytes[*b as usize].or(unknown));
                        out.extend(ids.flatten());
                    }
                }
            }
        });
    }

    /// Leaves the symbols of which no two neighbours form a token any more,
    /// merged best score first and leftmost first among equals.
    fn merge(&self, vocab: &Vocab, text: &str, scratch: &mut Scratch) {
        let Scratch { symbols, queue } = scratch;
        set_characters(text, symbols);
        let text = text.as_bytes();
        let n = symbols.len();
        let enqueue = |symbols: &[Symbol], queue: &mut BinaryHeap<Candidate>, left, right| {
            let (l, r): (&Symbol, &Symbol) = (&symbols[left], &symbols[right]);
            let len = l.len + r.len;
            if len > vocab.longest() {
                return;
            }
            if let Some(id) = vocab.find(&text[l.start..l.start + len]) {
                let score = sortable(self.scores[id as usize]);
                queue.push(Candidate { score, left: Reverse(left), len, id });
            }
        };
        for right in 1..n {
            enqueue(symbols, queue, right - 1, right);
        }
        while let Some(Candidate { left: Reverse(left), len, id, .. }) = queue.pop() {
            let right = symbols[left].next;
            // Unless both are as they were, one of them has since been merged.
            if right >= n || symbols[left].len == 0 || symbols[left].len + symbols[right].len != len
            {
                continue;
            }
            symbols[left].len = len;
            symbols[left].id = Some(id);
            symbols[right].len = 0;
            let next = symbols[right].next;
            symbols[left].next = next;
            let prev = symbols[left].prev;
            if prev < n {
                enqueue(symbols, queue, prev, left);
            }
            if next < n {
                symbols[next].prev = left;
                enqueue(symbols, queue, left, next);
            }
        }
    }
}

#[derive(Default)]
struct Scratch {
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Candidate>,
}

/// A node of the list of symbols; neighbours out of range are none.
struct Symbol {
    start: usize,
    /// Bytes of text; 0 when the left neighbour took it in.
    len: usize,
    /// The token, if the symbol was merged.
    id: Option<u32>,
    prev: usize,
    next: usize,
}

/// One symbol per character.
fn set_characters(text: &str, symbols: &mut Vec<Symbol>) {
    symbols.clear();
    symbols.extend(text.char_indices().enumerate().map(|(i, (start, c))| Symbol {
        start,
        len: c.len_utf8(),
        id: None,
        prev: i.wrapping_sub(1),
        next: i + 1,
    }));
}

/// A possible merge of a symbol with its right neighbour into `len` bytes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    score: i32,
    left: Reverse<usize>,
    len: usize,
    id: u32,
}

/// An integer ordered as `score` is; both zeros are one.
fn sortable(score: f32) -> i32 {
    let bits = (score + 0.0).to_bits() as i32;
    bits ^ (((bits >> 31) as u32) >> 1) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sortable_keeps_the_order() {
        let ordered = [f32::NEG_INFINITY, -1e30, -2.0, -1.0, 0.0, 1e-40, 1.0, 3.0, f32::INFINITY];
        assert!(ordered.windows(2).all(|w| sortable(w[0]) < sortable(w[1])));
        assert_eq!(sortable(-0.0), sortable(0.0));
    }
}

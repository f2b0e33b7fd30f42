//! The `hybriddna` kind: DNA between tags is cut into pieces of six letters.

use crate::vocab::Vocab;

/// The tags and the token of unknown pieces.
pub(crate) struct Dna {
    begin: u32,
    end: u32,
    unknown: u32,
}

/// What the vocabulary puts behind the six letters of a piece, which tells it
/// from a token of text.
pub(crate) const MARKER: &str = "\u{e000}";

/// After this token come those of the pieces.
pub(crate) const UNKNOWN: &str = "<oov>";

const BEGIN: &str = "<dna>";
const END: &str = "</dna>";

/// Letters of a piece.
const LENGTH: usize = 6;

impl Dna {
    /// `None` if the vocabulary has no tags: then all is text.
    pub(crate) fn new(vocab: &Vocab) -> Option<Self> {
        let find = |text: &str| vocab.find(text.as_bytes());
        Some(Self { begin: find(BEGIN)?, end: find(END)?, unknown: find(UNKNOWN)? })
    }

    /// Appends the tokens of `text`; `encode` does so for what is no DNA.
    pub(crate) fn encode(
        &self,
        vocab: &Vocab,
        mut text: &str,
        out: &mut Vec<u32>,
        encode: impl Fn(&str, &mut Vec<u32>),
    ) {
        while let Some((plain, dna)) = text.split_once(BEGIN) {
            if !plain.is_empty() {
                encode(plain, out);
            }
            out.push(self.begin);
            let Some((dna, rest)) = dna.split_once(END) else {
                return self.encode_dna(vocab, dna, out);
            };
            self.encode_dna(vocab, dna, out);
            out.push(self.end);
            text = rest;
        }
        if !text.is_empty() {
            encode(text, out);
        }
    }

    fn encode_dna(&self, vocab: &Vocab, dna: &str, out: &mut Vec<u32>) {
        for letters in dna.as_bytes().chunks(LENGTH) {
            // The last piece is filled up.
            let mut piece = [b'A'; LENGTH + MARKER.len()];
            piece[..letters.len()].copy_from_slice(letters);
            piece[..LENGTH].make_ascii_uppercase();
            piece[LENGTH..].copy_from_slice(MARKER.as_bytes());
            out.push(vocab.find(&piece).unwrap_or(self.unknown));
        }
    }
}

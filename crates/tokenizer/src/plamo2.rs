use crate::Error;
use crate::parts::Parts;
use crate::piece::byte_of_name;
use crate::trie::Trie;
use crate::vocab::{Attr, Vocab};

/// PLaMo 2's tokenizer: of all ways to cut a text into tokens, the one with
/// the best sum of scores, found from the end; bytes for other characters.
pub(crate) struct Plamo2 {
    tokens: Trie,
    /// One per token, in ten-thousandths.
    scores: Vec<i32>,
    bytes: [u32; 256],
}

/// The score of a character spelt in bytes.
const BYTES: i32 = -10_000_000;

/// A score that keeps a token out of use.
const UNUSABLE: i32 = -20_000_000;

impl Plamo2 {
    pub(crate) fn new(parts: &Parts, vocab: &Vocab) -> Result<Self, Error> {
        let mut bytes = [0; 256];
        for (text, id) in vocab.texts().filter(|(_, id)| vocab.attr(*id).any(Attr::BYTE)) {
            if let Some(byte) = byte_of_name(text) {
                bytes[byte as usize] = id;
            }
        }
        // A file can't tell the token 0 from none.
        if let Some(byte) = (0..=255).find(|byte| bytes[*byte as usize] == 0) {
            return Err(Error::MissingByte(byte));
        }
        let scores: Vec<i32> = parts.scores()?.into_iter().map(in_ten_thousandths).collect();
        let tokens = vocab.texts().filter(|(text, id)| {
            let usable = scores.get(*id as usize).is_some_and(|score| *score > UNUSABLE);
            usable && !vocab.attr(*id).any(Attr::BYTE) && std::str::from_utf8(text).is_ok()
        });
        Ok(Self { tokens: Trie::new(tokens), bytes, scores })
    }

    /// Appends the tokens of `text`, which holds no special tokens.
    pub(crate) fn encode(&self, text: &str, out: &mut Vec<u32>) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // Cost, byte length and token of the best way from each place to the end.
        let mut best: Vec<(i64, usize, Option<u32>)> = vec![(0, 0, None); text.len() + 1];
        for (at, c) in text.char_indices().rev() {
            let cost = |length: usize, score: i32| best[at + length].0 - i64::from(score);
            let length = c.len_utf8();
            let bytes = (cost(length, BYTES), length, None);
            let tokens = self.tokens.matches(&text.as_bytes()[at..]);
            // Of equals the longest counts, and bytes last.
            best[at] = tokens
                .map(|(length, id)| (cost(length, self.scores[id as usize]), length, Some(id)))
                .fold(bytes, |best, next| if next.0 <= best.0 { next } else { best });
        }
        let mut rest = text;
        while !rest.is_empty() {
            let (_, length, id) = best[text.len() - rest.len()];
            let (first, tail) = rest.split_at(length);
            match id {
                Some(id) => out.push(id),
                None => out.extend(first.bytes().map(|byte| self.bytes[byte as usize])),
            }
            rest = tail;
        }
    }
}

fn in_ten_thousandths(score: f32) -> i32 {
    match score.is_finite() {
        true => (f64::from(score) * 1e4).round() as i32,
        false => UNUSABLE,
    }
}

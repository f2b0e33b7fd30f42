use crate::Error;
use crate::charsmap::Charsmap;
use crate::parts::Parts;
use crate::spm::SPACE;
use crate::trie::Trie;
use crate::vocab::{Attr, Vocab};

/// Unigram (Kudo 2018), as in T5: of all ways to cut a text into tokens, the
/// one with the best sum of scores.
pub(crate) struct Unigram {
    tokens: Trie,
    /// One per token.
    scores: Vec<f32>,
    /// The score of a character that is no token.
    unknown_score: f32,
    normalizer: Normalizer,
}

/// What text goes through first.
struct Normalizer {
    /// Their beginnings stay as they are.
    user_defined: Trie,
    charsmap: Charsmap,
    /// Whether text starts with a space.
    add_space_prefix: bool,
    /// Whether several spaces are one.
    remove_extra_spaces: bool,
    /// Bytes that nothing above starts with.
    plain: [bool; 256],
}

/// The best way to cut the text up to a place.
#[derive(Clone, Copy)]
struct Best {
    score: f64,
    /// Where the last token starts.
    start: usize,
    /// The last token; `None` is the unknown one.
    id: Option<u32>,
}

const NO_WAY: Best = Best { score: -f64::MAX, start: 0, id: None };

impl Unigram {
    pub(crate) fn new(parts: &Parts, vocab: &Vocab) -> Result<Self, Error> {
        let scores = parts.scores()?;
        if let Some(id) = scores.iter().position(|score| !score.is_finite()) {
            return Err(Error::Score { id, score: scores[id] });
        }
        let of = |attrs: Attr| {
            let wanted = move |id: &u32| vocab.attr(*id).any(attrs);
            vocab.texts().filter(move |(_, id)| wanted(id))
        };
        let normal = of(Attr::NORMAL).filter_map(|(_, id)| scores.get(id as usize).copied());
        let tokens = of(Attr::NORMAL.with(Attr::USER_DEFINED).with(Attr::UNUSED));
        let normalizer = Normalizer::new(parts, Trie::new(of(Attr::USER_DEFINED)))?;
        Ok(Self {
            tokens: Trie::new(tokens),
            unknown_score: normal.fold(f32::MAX, f32::min) - 10.0,
            normalizer,
            scores,
        })
    }

    /// Appends the tokens of `text`, which holds no special tokens; `unknown`
    /// stands for characters that are no tokens, one for several.
    pub(crate) fn encode(
        &self,
        vocab: &Vocab,
        text: &str,
        unknown: Option<u32>,
        out: &mut Vec<u32>,
    ) {
        let text = self.normalizer.normalize(text);
        let mut last_unknown = false;
        let mut emit = |id: Option<u32>| {
            let id = id.or(unknown);
            let is_unknown = id == unknown;
            if !(is_unknown && last_unknown) {
                out.extend(id);
            }
            last_unknown = is_unknown;
        };
        // The best ways to all places from `base`, where all ways meet.
        let mut best = vec![Best { score: 0.0, ..NO_WAY }];
        let mut base = 0;
        let mut path = Vec::new();
        let mut at = 0;
        while at < text.len() {
            if at > base && best.len() == at - base + 1 {
                emit_path(&best, base, at, &mut path, &mut emit);
                best[0] = best[at - base];
                best.truncate(1);
                base = at;
            }
            let size = utf8_length(text[at]).min(text.len() - at);
            let score = best[at - base].score;
            let reach = |best: &mut Vec<Best>, end: usize, score: f64, id: Option<u32>| {
                if best.len() <= end - base {
                    best.resize(end - base + 1, NO_WAY);
                }
                let old = &mut best[end - base];
                if score > old.score {
                    *old = Best { score, start: at, id };
                }
            };
            let mut whole_character = false;
            for (length, id) in self.tokens.matches(&text[at..]) {
                whole_character |= length == size;
                let user_defined = vocab.attr(id).any(Attr::USER_DEFINED);
                let token = if user_defined { 0.0 } else { f64::from(self.scores[id as usize]) };
                reach(&mut best, at + length, score + token, Some(id));
            }
            if !whole_character {
                reach(&mut best, at + size, score + f64::from(self.unknown_score), None);
            }
            at += size;
        }
        emit_path(&best, base, at, &mut path, &mut emit);
    }
}

/// Passes on the tokens of the best way from `base` to `end`.
fn emit_path(
    best: &[Best],
    base: usize,
    end: usize,
    path: &mut Vec<Option<u32>>,
    emit: &mut impl FnMut(Option<u32>),
) {
    let mut at = end;
    while at > base {
        let last = best[at - base];
        path.push(last.id);
        at = last.start;
    }
    path.drain(..).rev().for_each(emit);
}

/// Bytes of the character that starts with `byte`; 1 for those that start none.
fn utf8_length(byte: u8) -> usize {
    match byte >> 4 {
        0..=11 => 1,
        12 | 13 => 2,
        14 => 3,
        _ => 4,
    }
}

impl Normalizer {
    fn new(parts: &Parts, user_defined: Trie) -> Result<Self, Error> {
        let charsmap = Charsmap::new(&parts.precompiled_charsmap)?;
        let mut plain = [true; 256];
        for byte in 0..=255u8 {
            // Nothing that starts with an ASCII character but no space is replaced
            // unless the first byte leads somewhere.
            plain[byte as usize] =
                byte.is_ascii() && user_defined.start(byte).is_none() && !charsmap.starts(byte);
        }
        Ok(Self {
            user_defined,
            charsmap,
            add_space_prefix: parts.add_space_prefix.unwrap_or(false),
            remove_extra_spaces: parts.remove_extra_whitespaces.unwrap_or(false),
            plain,
        })
    }

    /// Text with replaced characters, which may end up cut in the middle, and
    /// U+2581 for spaces.
    fn normalize(&self, text: &str) -> Vec<u8> {
        let text = text.as_bytes();
        let mut out = Vec::with_capacity(text.len() + text.len() / 2);
        let mut in_word = false;
        let mut has_prefix = false;
        let mut push = |out: &mut Vec<u8>, bytes: &[u8]| {
            for byte in bytes {
                if *byte == b' ' {
                    in_word = false;
                    if !self.remove_extra_spaces {
                        out.extend_from_slice(SPACE.as_bytes());
                    }
                    continue;
                }
                if !in_word {
                    in_word = true;
                    if self.remove_extra_spaces || (self.add_space_prefix && !has_prefix) {
                        out.extend_from_slice(SPACE.as_bytes());
                        has_prefix = true;
                    }
                }
                out.push(*byte);
            }
        };
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            at += if self.plain[rest[0] as usize] {
                push(&mut out, &rest[..1]);
                1
            } else {
                let (length, replacement) = self.first(rest);
                push(&mut out, replacement);
                length
            };
        }
        out
    }

    /// The length of what `text` starts with and what it becomes.
    fn first<'a>(&'a self, text: &'a [u8]) -> (usize, &'a [u8]) {
        let user_defined = self.user_defined.common(text);
        if user_defined > 0 {
            return (user_defined, &text[..user_defined]);
        }
        if let Some(found) = self.charsmap.longest(text) {
            return found;
        }
        // What comes before may have ended within a character.
        match utf8_length(text[0]) {
            1 if !text[0].is_ascii() => (1, "\u{fffd}".as_bytes()),
            length => (length.min(text.len()), &text[..length.min(text.len())]),
        }
    }
}

use crate::parts::Parts;
use crate::trie::Trie;
use crate::unicode::{Class, class, lowercase, without_accent};
use crate::vocab::Vocab;

/// WordPiece (Devlin et al. 2019): words are cut into the longest tokens from
/// the left. The vocabulary spells the beginning of a word with U+2581.
pub(crate) struct WordPiece {
    tokens: Trie,
    lowercase: bool,
    strip_accents: bool,
}

/// What stands before every word.
const START: &[u8] = "\u{2581}".as_bytes();

impl WordPiece {
    pub(crate) fn new(parts: &Parts, vocab: &Vocab) -> Self {
        let lowercase = parts.lowercase.unwrap_or(true);
        Self {
            tokens: Trie::new(vocab.texts()),
            lowercase,
            strip_accents: parts.strip_accents.unwrap_or(lowercase),
        }
    }

    /// Appends the tokens of `text`, which holds no special tokens; `unknown`
    /// stands for words that can't be cut into tokens.
    pub(crate) fn encode(&self, text: &str, unknown: Option<u32>, out: &mut Vec<u32>) {
        let mut word = START.to_vec();
        let mut utf8 = [0; 4];
        for c in text.chars() {
            let c = if self.strip_accents { without_accent(c) } else { c };
            if c.is_whitespace() {
                self.end_word(&mut word, unknown, out);
                continue;
            }
            let class = class(c);
            let dropped = matches!(c, '\0' | char::REPLACEMENT_CHARACTER)
                || class == Class::Control
                || (self.strip_accents && class == Class::Mark);
            if dropped {
                continue;
            }
            let alone = class == Class::Punctuation || c.is_ascii_punctuation() || is_han(c);
            if alone {
                self.end_word(&mut word, unknown, out);
            }
            let c = if self.lowercase { lowercase(c) } else { c };
            word.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes());
            if alone {
                self.end_word(&mut word, unknown, out);
            }
        }
        self.end_word(&mut word, unknown, out);
    }

    /// Appends the tokens of `word`, if it is not empty, and begins the next.
    fn end_word(&self, word: &mut Vec<u8>, unknown: Option<u32>, out: &mut Vec<u32>) {
        if word.len() == START.len() {
            return;
        }
        let before = out.len();
        let mut rest = word.as_slice();
        while !rest.is_empty() {
            let Some((length, id)) = self.tokens.longest(rest) else {
                out.truncate(before);
                out.extend(unknown);
                break;
            };
            out.push(id);
            rest = &rest[length..];
        }
        word.truncate(START.len());
    }
}

/// Ideographs, each a word of its own. U+2B920 for U+2B820 is what BERT has.
fn is_han(c: char) -> bool {
    matches!(
        c,
        '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{2a6df}'
            | '\u{2a700}'..='\u{2b81f}'
            | '\u{2b920}'..='\u{2ceaf}'
            | '\u{2f800}'..='\u{2fa1f}'
    )
}

//! A small vocabulary to test with.

use std::sync::Arc;

use tokenizer::{Parts, Tokenizer};

use crate::{Constraint, Vocabulary};

/// Texts of more than one byte that have a token.
const PIECES: [&str; 40] = [
    "{\"", "\":", "\": ", "\",", "\", \"", "\"}", "\"]", "[]", "{}", "}}", "]}", "},", "true",
    "false", "null", "  ", "\n\n", "name", "value", "type", " the", "ing", "100", "12", "0.", "e+",
    "é", "日本", "の", "\\n", "\\\"", "\\u", "--", "1. ", "x x", "if (", "return ", "abc", "ab",
    "bc",
];

/// The 256 bytes, some pieces, and these two control tokens.
pub(crate) const TOOL: &str = "<|tool|>";
const END: &str = "<|end|>";

pub(crate) fn vocabulary() -> Vocabulary {
    let bytes = (0u8..=255).map(|byte| String::from(byte_char(byte)));
    let pieces = PIECES.iter().map(|piece| piece.bytes().map(byte_char).collect());
    let texts: Vec<String> = bytes.chain(pieces).chain([TOOL, END].map(String::from)).collect();
    let mut types = vec![1; texts.len()];
    let n = texts.len() as u32;
    types[n as usize - 2..].fill(3);
    let parts = Parts {
        model: "gpt2",
        pre: "gpt-2",
        tokens: texts.iter().map(String::as_bytes).collect(),
        types,
        merges: Some(Vec::new()),
        ids: vec![("eos", n - 1), ("bos", n - 1)],
        ..Parts::default()
    };
    let tokenizer = Tokenizer::new(&parts).expect("a valid vocabulary");
    Vocabulary::new(&Arc::new(tokenizer)).expect("a valid vocabulary")
}

/// GPT-2's character for a byte.
fn byte_char(byte: u8) -> char {
    let plain = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if plain(byte) {
        return char::from(byte);
    }
    let place = (0..byte).filter(|b| !plain(*b)).count() as u32;
    char::from_u32(256 + place).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The token that ends a text.
pub(crate) fn end(vocabulary: &Vocabulary) -> u32 {
    vocabulary.tokenizer().find(END).expect("the end")
}

/// Whether `constraint` allows `text`, byte by byte, and then the end.
pub(crate) fn takes(constraint: &Constraint, text: &str) -> bool {
    let mut constraint = constraint.clone();
    let vocabulary = vocabulary_of(&constraint);
    for byte in text.bytes() {
        let token = u32::from(byte);
        let allowed = constraint.allowed().expect("a simple grammar");
        if allowed.is_some_and(|set| !set.contains(token)) {
            return false;
        }
        constraint.accept(token).expect("an allowed token");
    }
    let end = end(&vocabulary);
    let may_end = constraint.may_end();
    let allowed = constraint.allowed().expect("a simple grammar");
    assert_eq!(allowed.is_none_or(|set| set.contains(end)), may_end);
    may_end
}

fn vocabulary_of(constraint: &Constraint) -> Vocabulary {
    constraint.vocabulary().clone()
}

/// Pseudo-random numbers.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}

/// A text that `constraint` allows, by random tokens that may come; `None` after too many.
pub(crate) fn walk(constraint: &Constraint, dice: &mut Dice, most: usize) -> Option<String> {
    let mut constraint = constraint.clone();
    let vocabulary = vocabulary_of(&constraint);
    let mut bytes = Vec::new();
    for _ in 0..most {
        let end_allowed = constraint.may_end();
        if end_allowed && dice.below(4) == 0 {
            break;
        }
        let set = constraint.allowed().expect("a simple grammar").expect("an active grammar");
        let tokens: Vec<u32> = set.iter().collect();
        let token = tokens[dice.below(tokens.len())];
        constraint.accept(token).expect("an allowed token");
        if token == end(&vocabulary) {
            break;
        }
        if !vocabulary.tokenizer().is_control(token) {
            bytes.extend_from_slice(&vocabulary.tokenizer().token_bytes(token).unwrap_or_default());
        }
    }
    constraint.may_end().then(|| String::from_utf8(bytes).expect("UTF-8"))
}

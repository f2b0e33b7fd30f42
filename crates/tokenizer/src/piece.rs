use std::borrow::Cow;
use std::fmt::Write;

use crate::byte_chars::byte_of_char;
use crate::spm::SPACE;
use crate::vocab::{Attr, Vocab};

/// How texts of normal tokens are spelt in the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// One character per byte.
    ByteChars,
    /// Plain, with U+2581 for spaces.
    Spaces,
}

/// The bytes a token stands for in text.
pub(crate) fn piece(vocab: &Vocab, spelling: Spelling, id: u32) -> Cow<'_, [u8]> {
    let text = vocab.text(id);
    let attr = vocab.attr(id);
    if attr.any(Attr::UNKNOWN.with(Attr::CONTROL).with(Attr::USER_DEFINED)) {
        return Cow::Borrowed(text);
    }
    if attr.any(Attr::NORMAL) {
        return match spelling {
            Spelling::ByteChars => Cow::Owned(bytes_of_chars(text)),
            Spelling::Spaces => with_spaces(text),
        };
    }
    if attr.any(Attr::BYTE) {
        return byte(text).map_or(Cow::Borrowed(&[]), |b| Cow::Owned(vec![b]));
    }
    Cow::Borrowed(&[])
}

/// The bytes that the characters of `text` stand for. A character outside the
/// alphabet is spelt out as llama.cpp does.
fn bytes_of_chars(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let whole = String::from_utf8_lossy(text);
    for c in whole.chars() {
        match byte_of_char(c) {
            Some(byte) => bytes.push(byte),
            None => {
                let mut name = String::from("[UNK_BYTE_0x");
                for b in c.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a string does not fail.
                    let _ = write!(name, "{b:02x}");
                }
                bytes.extend_from_slice(name.as_bytes());
                bytes.extend_from_slice(text);
                bytes.push(b']');
            }
        }
    }
    bytes
}

fn with_spaces(text: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(text) {
        Ok(text) if text.contains(SPACE) => Cow::Owned(text.replace(SPACE, " ").into_bytes()),
        _ => Cow::Borrowed(text),
    }
}

/// The byte of `<0xXX>`.
fn byte(text: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(text.get(3..5)?).ok()?;
    u8::from_str_radix(digits, 16).ok()
}

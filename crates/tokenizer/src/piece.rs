use std::borrow::Cow;
use std::fmt::Write;

use crate::byte_chars::byte_of_char;
use crate::rwkv::unescape;
use crate::spm::SPACE;
use crate::vocab::{Attr, Vocab};

/// How texts of tokens are spelt in the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One character per byte.
    ByteChars,
    /// Plain, with U+2581 for spaces.
    Spaces,
    /// With backslashes, whatever the token's kind.
    Escapes,
    /// Plain; bytes have names.
    Plain,
}

/// The bytes a token stands for in text.
pub(crate) fn piece(vocab: &Vocab, form: Form, id: u32) -> Cow<'_, [u8]> {
    let text = vocab.shown(id);
    let attr = vocab.attr(id);
    match form {
        Form::Escapes => return Cow::Owned(unescape(text)),
        Form::Plain => {
            let byte = byte_of_name(text).filter(|_| attr.any(Attr::BYTE));
            return byte.map_or(Cow::Borrowed(text), |byte| Cow::Owned(vec![byte]));
        }
        Form::ByteChars | Form::Spaces => {}
    }
    if attr.any(Attr::UNKNOWN.with(Attr::CONTROL).with(Attr::USER_DEFINED)) {
        return Cow::Borrowed(text);
    }
    if attr.any(Attr::NORMAL) {
        return match form {
            Form::ByteChars => Cow::Owned(bytes_of_chars(text)),
            _ => with_spaces(text),
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
pub(crate) fn byte_of_name(text: &[u8]) -> Option<u8> {
    match text {
        [b'<', b'0', b'x', high, low, b'>'] => {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
        }
        _ => None,
    }
}

/// The byte of a text whose fourth and fifth characters are its digits.
fn byte(text: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(text.get(3..5)?).ok()?;
    u8::from_str_radix(digits, 16).ok()
}

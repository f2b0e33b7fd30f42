use crate::trie::Trie;
use crate::vocab::Vocab;

/// RWKV's tokenizer: the longest token from the left, over bytes.
pub(crate) struct Rwkv {
    tokens: Trie,
}

impl Rwkv {
    pub(crate) fn new(vocab: &Vocab) -> Self {
        let texts: Vec<(Vec<u8>, u32)> =
            vocab.texts().map(|(text, id)| (unescape(text), id)).collect();
        Self { tokens: Trie::new(texts.iter().map(|(text, id)| (text.as_slice(), *id))) }
    }

    /// Appends the tokens of `text`, which holds no special tokens; `unknown`
    /// stands for bytes that have no token.
    pub(crate) fn encode(&self, text: &str, unknown: Option<u32>, out: &mut Vec<u32>) {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let (length, id) = match self.tokens.longest(rest) {
                Some((length, id)) => (length, Some(id)),
                None => (1, unknown),
            };
            out.extend(id);
            rest = &rest[length..];
        }
    }
}

/// The bytes that a text of the vocabulary stands for: `\t`, `\n`, `\r` and
/// `\xXX` as in Python, and any other character after a backslash itself.
pub(crate) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b't') => bytes.push(b'\t'),
            Some(b'n') => bytes.push(b'\n'),
            Some(b'r') => bytes.push(b'\r'),
            Some(b'x') => {
                if let (Some(high), Some(low)) = (rest.next(), rest.next()) {
                    bytes.push(hex_digit(*high).wrapping_shl(4).wrapping_add(hex_digit(*low)));
                }
            }
            Some(other) => bytes.push(*other),
            None => {}
        }
    }
    bytes
}

/// The value of a small hexadecimal digit; anything for other characters.
fn hex_digit(digit: u8) -> u8 {
    let zero = if (b'a'..0x80).contains(&digit) { b'a' - 10 } else { b'0' };
    digit.wrapping_sub(zero)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(unescape(br"a\tb\n\r\\\'\x00\xff\xe2\"), b"a\tb\n\r\\'\x00\xff\xe2");
        assert_eq!(unescape("é".as_bytes()), "é".as_bytes());
        assert_eq!(unescape(br"\x4"), b"");
    }
}

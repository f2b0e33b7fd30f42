//! The alphabet of byte-level BPE: every byte is one printable character.
//!
//! GPT-2 keeps the bytes `!`…`~`, `¡`…`¬` and `®`…`ÿ` as the characters of the
//! same number and gives the others, in order, the characters from U+0100 on.

/// The character of each byte.
pub(crate) const CHAR_OF_BYTE: [char; 256] = {
    let mut chars = ['\0'; 256];
    let mut next = 0x100;
    let mut byte = 0;
    while byte < 256 {
        let number = if is_kept(byte as u32) {
            byte as u32
        } else {
            next += 1;
            next - 1
        };
        chars[byte] = match char::from_u32(number) {
            Some(c) => c,
            None => unreachable!(),
        };
        byte += 1;
    }
    chars
};

/// The byte a character stands for; `None` if it is not of the alphabet.
pub(crate) fn byte_of_char(c: char) -> Option<u8> {
    match c as u32 {
        n if is_kept(n) => u8::try_from(n).ok(),
        n => BYTE_OF_SHIFTED.get((n as usize).checked_sub(0x100)?).copied(),
    }
}

/// The bytes that are not kept, in order.
const BYTE_OF_SHIFTED: [u8; 68] = {
    let mut bytes = [0; 68];
    let mut n = 0;
    let mut byte = 0;
    while byte < 256u32 {
        if !is_kept(byte) {
            bytes[n] = byte as u8;
            n += 1;
        }
        byte += 1;
    }
    bytes
};

const fn is_kept(n: u32) -> bool {
    matches!(n, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_characters() {
        let known = [(b' ', 'Ġ'), (b'\n', 'Ċ'), (b'\t', 'ĉ'), (b'a', 'a'), (0, 'Ā'), (0xad, 'Ń')];
        for (byte, c) in known {
            assert_eq!(CHAR_OF_BYTE[byte as usize], c);
        }
    }

    #[test]
    fn every_byte_comes_back() {
        for byte in 0..=255u8 {
            assert_eq!(byte_of_char(CHAR_OF_BYTE[byte as usize]), Some(byte));
        }
        assert_eq!(byte_of_char('\u{144}'), None);
        assert_eq!(byte_of_char(' '), None);
        assert_eq!(byte_of_char('漢'), None);
    }
}

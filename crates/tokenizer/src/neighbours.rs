/// Which characters stand side by side within tokens. Between others no token
/// reaches, and text can be cut there before its characters are merged.
///
/// A set of hashes: some pairs that are not in it seem to be, which only makes
/// the parts longer.
pub(crate) struct Neighbours {
    bits: Box<[u64]>,
}

/// Two to this power is the number of bits; vocabularies have 10^4 to 10^5 pairs.
const LOG_BITS: u32 = 20;

impl Neighbours {
    /// Those in `texts`.
    pub(crate) fn new<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut this = Self { bits: vec![0; 1 << (LOG_BITS - 6)].into() };
        for text in texts {
            for (left, right) in text.chars().zip(text.chars().skip(1)) {
                let bit = bit(left, right);
                this.bits[bit / 64] |= 1 << (bit % 64);
            }
        }
        this
    }

    /// Calls `part` with the parts of `text`, none of them empty.
    pub(crate) fn split<'t>(&self, text: &'t str, mut part: impl FnMut(&'t str)) {
        let mut chars = text.char_indices();
        let Some((_, mut left)) = chars.next() else { return };
        let mut start = 0;
        for (at, right) in chars {
            if !self.has(left, right) {
                part(&text[start..at]);
                start = at;
            }
            left = right;
        }
        part(&text[start..]);
    }

    #[inline]
    fn has(&self, left: char, right: char) -> bool {
        let bit = bit(left, right);
        self.bits[bit / 64] >> (bit % 64) & 1 == 1
    }
}

/// Fibonacci hashing of both characters.
#[inline]
fn bit(left: char, right: char) -> usize {
    let pair = u64::from(left) << 32 | u64::from(right);
    (pair.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - LOG_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_where_no_text_reaches() {
        let neighbours = Neighbours::new(["ab", "bcd", "漢"].into_iter());
        let split = |text| {
            let mut parts = Vec::new();
            neighbours.split(text, |part| parts.push(part));
            parts
        };
        assert_eq!(split("abcdab漢漢b"), ["abcd", "ab", "漢", "漢", "b"]);
        assert_eq!(split("x"), ["x"]);
        assert!(split("").is_empty());
    }
}

use std::ops::Range;

use crate::vocab::{Attr, Vocab};

/// Finds special tokens in text, before anything else is done with it.
pub(crate) struct SpecialText {
    /// By length of the tokens' texts, longest first.
    lengths: Vec<Length>,
    /// Bytes that begin any of them.
    first: [bool; 256],
}

struct Length {
    bytes: usize,
    first: [bool; 256],
}

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fragment {
    Text(Range<usize>),
    Token(u32),
}

/// Where a special token lies, with the white space it takes out.
struct Claim {
    range: Range<usize>,
    id: u32,
}

impl SpecialText {
    pub(crate) fn new(vocab: &Vocab) -> Self {
        let special = Attr::CONTROL.with(Attr::USER_DEFINED).with(Attr::UNKNOWN);
        let mut this = Self { lengths: Vec::new(), first: [false; 256] };
        for (id, attr) in vocab.attrs() {
            let text = vocab.text(id);
            // Whole characters only, so that cutting them out leaves whole characters.
            if !attr.any(special) || std::str::from_utf8(text).is_err() {
                continue;
            }
            let Some(&first) = text.first() else { continue };
            this.first[first as usize] = true;
            match this.lengths.iter_mut().find(|l| l.bytes == text.len()) {
                Some(length) => length.first[first as usize] = true,
                None => {
                    let mut length = Length { bytes: text.len(), first: [false; 256] };
                    length.first[first as usize] = true;
                    this.lengths.push(length);
                }
            }
        }
        this.lengths.sort_unstable_by_key(|l| std::cmp::Reverse(l.bytes));
        this
    }

    /// Cuts `text` into special tokens and what lies between. Longer tokens are
    /// cut out first, wherever they are; control and unknown tokens only if
    /// `parse_special`, user-defined ones always.
    pub(crate) fn split(&self, vocab: &Vocab, text: &str, parse_special: bool) -> Vec<Fragment> {
        let mut fragments = Vec::new();
        let mut start = 0;
        for claim in self.claims(vocab, text.as_bytes(), parse_special) {
            if start < claim.range.start {
                fragments.push(Fragment::Text(start..claim.range.start));
            }
            fragments.push(Fragment::Token(claim.id));
            start = claim.range.end;
        }
        if start < text.len() {
            fragments.push(Fragment::Text(start..text.len()));
        }
        fragments
    }

    /// The special tokens of `text` in order.
    fn claims(&self, vocab: &Vocab, text: &[u8], parse_special: bool) -> Vec<Claim> {
        let mut claims = Vec::new();
        let starts: Vec<usize> =
            (0..text.len()).filter(|&at| self.first[text[at] as usize]).collect();
        if starts.is_empty() {
            return claims;
        }
        let mut taken = vec![false; text.len()];
        for length in &self.lengths {
            for &start in &starts {
                let end = start + length.bytes;
                // What is taken is no shorter than this length: it can't lie within.
                if !length.first[text[start] as usize]
                    || end > text.len()
                    || taken[start]
                    || taken[end - 1]
                {
                    continue;
                }
                let Some(id) = vocab.find(&text[start..end]) else { continue };
                let attr = vocab.attr(id);
                let hidden = Attr::CONTROL.with(Attr::UNKNOWN);
                if attr.any(hidden) && !parse_special || !attr.any(hidden.with(Attr::USER_DEFINED))
                {
                    continue;
                }
                let range = with_spaces(text, &taken, start..end, attr);
                taken[range.clone()].fill(true);
                claims.push(Claim { range, id });
            }
        }
        claims.sort_unstable_by_key(|claim| claim.range.start);
        claims
    }
}

/// `range` with the free white space around it that the token takes out.
fn with_spaces(text: &[u8], taken: &[bool], range: Range<usize>, attr: Attr) -> Range<usize> {
    let Range { mut start, mut end } = range;
    let free = |at: usize| !taken[at] && is_space(text[at]);
    if attr.any(Attr::LSTRIP) {
        while start > 0 && free(start - 1) {
            start -= 1;
        }
    }
    if attr.any(Attr::RSTRIP) {
        while end < text.len() && free(end) {
            end += 1;
        }
    }
    start..end
}

/// `isspace` of C.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parts;

    fn split(text: &str, parse_special: bool) -> Vec<Fragment> {
        let tokens: [(&[u8], i32); 6] =
            [(b"<a>", 3), (b"<a><b>", 4), (b"<b><c", 3), (b"x", 1), (b"<m>", 4), (b"<r>", 4)];
        let parts = Parts {
            tokens: tokens.iter().map(|t| t.0).collect(),
            types: tokens.iter().map(|t| t.1).collect(),
            ..Parts::default()
        };
        let mut vocab = Vocab::new(&parts).expect("a vocabulary");
        vocab.set_attr(4, vocab.attr(4).with(Attr::LSTRIP));
        vocab.set_attr(5, vocab.attr(5).with(Attr::RSTRIP));
        SpecialText::new(&vocab).split(&vocab, text, parse_special)
    }

    #[test]
    fn longer_tokens_come_first_wherever_they_are() {
        use Fragment::{Text, Token};
        assert_eq!(split("<a><b><c", true), [Token(1), Text(6..8)]);
        assert_eq!(split("<a>-<b><c>", true), [Token(0), Text(3..4), Token(2), Text(9..10)]);
        assert_eq!(split("x<a", true), [Text(0..3)]);
        assert_eq!(split("", true), []);
    }

    #[test]
    fn control_tokens_are_text_unless_parsed() {
        use Fragment::{Text, Token};
        assert_eq!(split("<a>x<a><b>", false), [Text(0..4), Token(1)]);
    }

    #[test]
    fn stripping_stops_at_other_tokens() {
        use Fragment::{Text, Token};
        assert_eq!(split("x \n<m> x", true), [Text(0..1), Token(4), Text(6..8)]);
        assert_eq!(split("x <r>\t x", true), [Text(0..2), Token(5), Text(7..8)]);
        assert_eq!(split("<r> <m> ", true), [Token(5), Token(4), Text(7..8)]);
    }
}

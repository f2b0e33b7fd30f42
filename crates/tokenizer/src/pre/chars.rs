//! Classes of characters and runs of them.

use crate::unicode::{Class, class};

/// `\p{L}`
pub(super) fn is_letter(c: char) -> bool {
    class(c) == Class::Letter
}

/// `\p{N}`
pub(super) fn is_number(c: char) -> bool {
    class(c) == Class::Number
}

/// `[\p{L}\p{M}]`
pub(super) fn is_letter_or_mark(c: char) -> bool {
    matches!(class(c), Class::Letter | Class::Mark)
}

/// `[\p{P}\p{S}]`
pub(super) fn is_punctuation_or_symbol(c: char) -> bool {
    matches!(class(c), Class::Punctuation | Class::Symbol)
}

/// `\p{P}`
pub(super) fn is_punctuation(c: char) -> bool {
    class(c) == Class::Punctuation
}

/// `[\r\n]`
pub(super) fn is_newline(c: char) -> bool {
    c == '\r' || c == '\n'
}

/// `[^\s\p{L}\p{N}]`
pub(super) fn is_other(c: char) -> bool {
    !c.is_whitespace() && !matches!(class(c), Class::Letter | Class::Number)
}

/// `[^\r\n\p{L}\p{N}]`: what may stand before the letters of a word.
pub(super) fn is_prefix(c: char) -> bool {
    !is_newline(c) && !matches!(class(c), Class::Letter | Class::Number)
}

/// Whether `c` lies in one of the ranges, which ascend. White space beyond
/// ASCII never does: llama.cpp makes a vertical tab of it before it looks.
pub(super) fn is_in(ranges: &[(char, char)], c: char) -> bool {
    let after = ranges.partition_point(|range| range.0 <= c);
    after > 0 && c <= ranges[after - 1].1 && !c.is_whitespace()
}

/// The byte length of the characters at the start that are `inside`.
#[inline]
pub(super) fn run(text: &str, inside: impl Fn(char) -> bool) -> usize {
    text.find(|c| !inside(c)).unwrap_or(text.len())
}

/// The run at the start of characters that are all inside or all outside.
pub(super) fn alternate(text: &str, inside: impl Fn(char) -> bool) -> usize {
    let first = text.chars().next().is_some_and(&inside);
    run(text, |c| inside(c) == first)
}

/// The first character if it is `inside`, else the run of those that are not.
pub(super) fn single(text: &str, inside: impl Fn(char) -> bool) -> usize {
    match text.chars().next() {
        Some(c) if inside(c) => c.len_utf8(),
        _ => run(text, |c| !inside(c)),
    }
}

/// What `matched` finds at the start, else all up to where it finds something.
/// Nothing found is 0.
pub(super) fn find(text: &str, matched: impl Fn(&str) -> usize) -> usize {
    match matched(text) {
        0 => {
            let mut starts = text.char_indices().map(|(at, _)| at).skip(1);
            starts.find(|&at| matched(&text[at..]) > 0).unwrap_or(text.len())
        }
        n => n,
    }
}

/// The text after its first character if that is `inside`, else all of it.
#[inline]
pub(super) fn skip(text: &str, inside: impl Fn(char) -> bool) -> &str {
    let mut chars = text.chars();
    match chars.next() {
        Some(c) if inside(c) => chars.as_str(),
        _ => text,
    }
}

/// `\s+(?!\S)|\s+`: leaves the last space of several to the word that follows.
pub(super) fn spaces(text: &str) -> usize {
    let n = run(text, char::is_whitespace);
    match text[..n].char_indices().next_back() {
        Some((last, _)) if last > 0 && n < text.len() => last,
        _ => n,
    }
}

/// `\s*[\r\n]+|\s+(?!\S)|\s+`
pub(super) fn lines_and_spaces(text: &str) -> usize {
    let blank = &text[..run(text, char::is_whitespace)];
    match blank.rfind(is_newline) {
        Some(last) => last + 1,
        None => spaces(text),
    }
}

/// `'s|'t|'re|'ve|'m|'ll|'d`; 0 if there is none.
pub(super) fn contraction(text: &str, same: impl Fn(u8, u8) -> bool) -> usize {
    let Some(after) = text.strip_prefix('\'').map(str::as_bytes) else { return 0 };
    let found = ["s", "t", "m", "d", "re", "ve", "ll"].into_iter().find(|ending| {
        after.len() >= ending.len() && ending.bytes().zip(after).all(|(a, &b)| same(a, b))
    });
    found.map_or(0, |ending| 1 + ending.len())
}

/// As [`contraction`] in either case.
#[inline]
pub(super) fn contraction_any_case(text: &str) -> usize {
    contraction(text, |a, b| a.eq_ignore_ascii_case(&b))
}

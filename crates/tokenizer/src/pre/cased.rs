//! Words that end before a capital letter.
//!
//! The published expressions tell upper from lower case by Unicode property;
//! llama.cpp's stand-ins know case in ASCII only, and letters beyond it are
//! upper and lower at once.

use super::chars::{
    contraction_any_case, is_letter, is_letter_or_mark, is_newline, is_other, is_prefix, run, skip,
};
use super::words::{Rest, letters_or_marks};

/// With `U` = `(?=\p{L})[^a-z]` and `W` = `(?=\p{L})[^A-Z]`:
/// `[^\r\n\p{L}\p{N}]?U*W+|[^\r\n\p{L}\p{N}]?U+W*|\p{N}|
/// ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
pub(super) fn tekken(text: &str) -> usize {
    rest(1).first(text, |text| cased(text, is_letter))
}

/// As [`tekken`] with `(?i:'s|'t|'re|'ve|'m|'ll|'d)?` after the letters and `\p{N}{1,3}`.
pub(super) fn gpt4o(text: &str) -> usize {
    rest(3).first(text, |text| with_contraction(text, cased(text, is_letter)))
}

/// As [`gpt4o`] with `[\p{L}\p{M}]` for `\p{L}` in `U` and `W`.
pub(super) fn granite_multi(text: &str) -> usize {
    rest(3).first(text, |text| with_contraction(text, cased(text, is_letter_or_mark)))
}

/// As [`gpt4o`] with `[\p{L}\p{M}]` for both `U` and `W`.
pub(super) fn tiny_aya(text: &str) -> usize {
    rest(3).first(text, |text| with_contraction(text, letters_or_marks(text)))
}

/// As [`tiny_aya`] with `\p{N}` for `\p{N}{1,3}`.
pub(super) fn youtu(text: &str) -> usize {
    rest(1).first(text, |text| with_contraction(text, letters_or_marks(text)))
}

const fn rest(digits: usize) -> Rest<fn(char) -> bool> {
    Rest { digits, other: is_other, tail: |c| is_newline(c) || c == '/', tail_length: usize::MAX }
}

fn with_contraction(text: &str, word: usize) -> usize {
    match word {
        0 => 0,
        n => n + contraction_any_case(&text[n..]),
    }
}

/// `[^\r\n\p{L}\p{N}]?U*W+|[^\r\n\p{L}\p{N}]?U+W*` over `letter`; 0 if there is none.
fn cased(text: &str, letter: impl Fn(char) -> bool + Copy) -> usize {
    // A mark may be the prefix or the first of the letters.
    let rest = skip(text, is_prefix);
    let prefix = text.len() - rest.len();
    let with_prefix = |n: usize| if n > 0 { prefix + n } else { 0 };
    let ways = [
        with_prefix(ends_lower(rest, letter)),
        ends_lower(text, letter),
        with_prefix(upper(rest, letter)),
        upper(text, letter),
    ];
    ways.into_iter().find(|n| *n > 0).unwrap_or(0)
}

/// `U*W+`
fn ends_lower(text: &str, letter: impl Fn(char) -> bool + Copy) -> usize {
    let upper = upper(text, letter);
    match run(&text[upper..], |c| letter(c) && !c.is_ascii_uppercase()) {
        // The last of `U*` that is of `W` too.
        0 => match text[..upper].char_indices().rfind(|(_, c)| !c.is_ascii()) {
            Some((at, c)) => at + c.len_utf8(),
            None => 0,
        },
        lower => upper + lower,
    }
}

/// `U*`
fn upper(text: &str, letter: impl Fn(char) -> bool) -> usize {
    run(text, |c| letter(c) && !c.is_ascii_lowercase())
}

//! Expressions after those of the DeepSeek models.

use super::chars::{
    find, is_in, is_letter, is_letter_or_mark, is_newline, is_punctuation,
    is_punctuation_or_symbol, lines_and_spaces, run, skip, spaces,
};
use super::scripts::{CASED_LETTERS, HAN_AND_HANGUL, WIDE_PUNCTUATION};

/// ``[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|
/// ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+``
pub(super) fn deepseek3(text: &str) -> usize {
    find(text, |text| match name_or_letters(text) {
        0 => match symbols(text) {
            0 => lines_and_spaces(text),
            n => n + run(&text[n..], is_newline),
        },
        n => n,
    })
}

/// As [`deepseek3`] with ` ?[\p{P}\p{S}]+|[\r\n]` for
/// ` ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+`.
pub(super) fn spark(text: &str) -> usize {
    find(text, |text| match name_or_letters(text) {
        0 => match symbols(text) {
            0 if text.starts_with(is_newline) => 1,
            0 => spaces(text),
            n => n,
        },
        n => n,
    })
}

/// ``[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+``
fn name_or_letters(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_punctuation()) {
        let letters = run(&text[1..], |c| c.is_ascii_alphabetic());
        return if letters > 0 { 1 + letters } else { 0 };
    }
    // A mark that stands first counts either way.
    let prefix = |c| !is_newline(c) && !is_letter_or_mark(c) && !is_punctuation_or_symbol(c);
    let rest = skip(text, prefix);
    match run(rest, is_letter_or_mark) {
        0 => 0,
        n => text.len() - rest.len() + n,
    }
}

/// ` ?[\p{P}\p{S}]+`
fn symbols(text: &str) -> usize {
    let rest = skip(text, |c| c == ' ');
    match run(rest, is_punctuation_or_symbol) {
        0 => 0,
        n => text.len() - rest.len() + n,
    }
}

/// `\s?\p{L}+`
pub(super) fn letters(text: &str) -> usize {
    after_space(text, is_letter)
}

/// `\s?\p{P}+`
pub(super) fn punctuation(text: &str) -> usize {
    after_space(text, is_punctuation)
}

/// `\s?[A-Za-zµÀ-ÖØ-…𞤀-𞥃]+`: the letters that have case.
pub(super) fn cased_letters(text: &str) -> usize {
    after_space(text, |c| is_in(CASED_LETTERS, c))
}

/// `\s?[!-/:-~！-／：-～‘-‟　-。]+`
pub(super) fn wide_punctuation(text: &str) -> usize {
    after_space(text, |c| is_in(WIDE_PUNCTUATION, c))
}

/// `[一-龥ࠀ-一가-퟿]+`
pub(super) fn han_and_hangul(text: &str) -> usize {
    find(text, |text| run(text, |c| is_in(HAN_AND_HANGUL, c)))
}

/// `\s+$`
pub(super) fn trailing_spaces(text: &str) -> usize {
    match text.trim_end().len() {
        0 => text.len(),
        n => n,
    }
}

/// `\s?[…]+` with the characters that are `inside`.
fn after_space(text: &str, inside: impl Fn(char) -> bool + Copy) -> usize {
    find(text, |text| {
        let rest = skip(text, char::is_whitespace);
        match run(rest, inside) {
            0 => 0,
            n => text.len() - rest.len() + n,
        }
    })
}

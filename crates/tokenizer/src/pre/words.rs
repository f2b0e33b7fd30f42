//! Words, numbers, punctuation and white space in one expression.

use super::chars::{
    contraction, contraction_any_case, is_letter, is_letter_or_mark, is_newline, is_number,
    is_other, is_prefix, lines_and_spaces, run, skip, spaces,
};

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
pub(super) fn gpt2(text: &str) -> usize {
    match contraction(text, |a, b| a == b) {
        0 => {}
        n => return n,
    }
    let rest = skip(text, |c| c == ' ');
    let n = match rest.chars().next() {
        Some(c) if is_letter(c) => run(rest, is_letter),
        Some(c) if is_number(c) => run(rest, is_number),
        _ => run(rest, is_other),
    };
    match n {
        0 => spaces(text),
        n => text.len() - rest.len() + n,
    }
}

/// The part of an expression after its letters:
/// `\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[tail]*|\s*[\r\n]+|\s+(?!\S)|\s+`
pub(super) struct Rest<O> {
    /// Most digits of a number.
    pub(super) digits: usize,
    /// Characters that stand together: `[^\s\p{L}\p{N}]`.
    pub(super) other: O,
    /// Characters that may follow these, and how many.
    pub(super) tail: fn(char) -> bool,
    pub(super) tail_length: usize,
}

impl<O: Fn(char) -> bool> Rest<O> {
    /// The length of the first word: what `letters` finds, or else the rest.
    #[inline]
    pub(super) fn first(&self, text: &str, letters: impl Fn(&str) -> usize) -> usize {
        match letters(text) {
            0 => self.first_without_letters(text),
            n => n,
        }
    }

    fn first_without_letters(&self, text: &str) -> usize {
        let digits = text.chars().take(self.digits).take_while(|c| is_number(*c));
        let digits: usize = digits.map(char::len_utf8).sum();
        if digits > 0 {
            return digits;
        }
        let rest = skip(text, |c| c == ' ');
        let others = run(rest, &self.other);
        if others == 0 {
            return lines_and_spaces(text);
        }
        let tail = rest[others..].chars().take(self.tail_length).take_while(|c| (self.tail)(*c));
        text.len() - rest.len() + others + tail.map(char::len_utf8).sum::<usize>()
    }
}

/// Numbers of `digits` digits; newlines belong to the punctuation before them.
const fn rest(digits: usize) -> Rest<fn(char) -> bool> {
    Rest { digits, other: is_other, tail: is_newline, tail_length: usize::MAX }
}

/// `[^\r\n\p{L}\p{N}]?\p{L}+`; 0 if there is none.
#[inline]
fn letters(text: &str) -> usize {
    let rest = skip(text, is_prefix);
    match run(rest, is_letter) {
        0 => 0,
        n => text.len() - rest.len() + n,
    }
}

/// `'s|…|[^\r\n\p{L}\p{N}]?\p{L}+`; 0 if there is none.
#[inline]
fn contraction_or_letters(text: &str) -> usize {
    match contraction_any_case(text) {
        0 => letters(text),
        n => n,
    }
}

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
/// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
pub(super) fn llama3(text: &str) -> usize {
    rest(3).first(text, contraction_or_letters)
}

/// As [`llama3`] with `\p{N}` for `\p{N}{1,3}`.
pub(super) fn qwen2(text: &str) -> usize {
    rest(1).first(text, contraction_or_letters)
}

/// As [`llama3`] with `\p{N}+` for `\p{N}{1,3}`.
pub(super) fn minicpm5(text: &str) -> usize {
    rest(usize::MAX).first(text, contraction_or_letters)
}

/// As [`qwen2`] without the contractions.
pub(super) fn ufakzeka(text: &str) -> usize {
    rest(1).first(text, letters)
}

/// As [`qwen2`] with ` ?[^\s\p{L}\p{N}\r\n]+` for ` ?[^\s\p{L}\p{N}]+[\r\n]*`.
pub(super) fn seed_coder(text: &str) -> usize {
    Rest { tail_length: 0, ..rest(1) }.first(text, contraction_or_letters)
}

/// As [`qwen2`] with `[\p{L}\p{M}]` for `\p{L}` (but not before letters) and
/// `[^\s\p{L}\p{M}\p{N}]` for `[^\s\p{L}\p{N}]`.
pub(super) fn qwen35(text: &str) -> usize {
    let other = |c| is_other(c) && !is_letter_or_mark(c);
    let rest = Rest { digits: 1, other, tail: is_newline, tail_length: usize::MAX };
    rest.first(text, |text| match contraction_any_case(text) {
        0 => letters_or_marks(text),
        n => n,
    })
}

/// `[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+`; 0 if there is none.
pub(super) fn letters_or_marks(text: &str) -> usize {
    // A mark that stands first counts either way.
    let rest = skip(text, |c| is_prefix(c) && !is_letter_or_mark(c));
    match run(rest, is_letter_or_mark) {
        0 => 0,
        n => text.len() - rest.len() + n,
    }
}

/// As [`qwen2`] with `(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+` for `\p{L}+` and
/// `[\r\n/]?` for `[\r\n]*`.
pub(super) fn exaone_moe(text: &str) -> usize {
    let rest =
        Rest { digits: 1, other: is_other, tail: |c| is_newline(c) || c == '/', tail_length: 1 };
    rest.first(text, |text| match contraction_any_case(text) {
        0 => {
            let rest = skip(text, is_prefix);
            match phrase(rest) {
                0 => 0,
                n => text.len() - rest.len() + n,
            }
        }
        n => n,
    })
}

/// `(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+`: words with single spaces between.
fn phrase(text: &str) -> usize {
    let mut rest = text;
    while rest.starts_with(is_letter) {
        rest = &rest[run(rest, is_letter_or_mark)..];
        rest = match rest.strip_prefix(' ') {
            Some(next) if next.starts_with(is_letter) => next,
            _ => rest,
        };
    }
    text.len() - rest.len()
}

//! Stages that cut out one kind of text and leave what lies between.

use super::chars::{alternate, find, is_newline, is_number, is_punctuation, run, single, skip};
use crate::unicode::{Class, class};

/// `\p{N}`
pub(super) fn number(text: &str) -> usize {
    single(text, is_number)
}

/// `\p{N}+`
pub(super) fn numbers(text: &str) -> usize {
    alternate(text, is_number)
}

/// `\p{N}{1,3}`
pub(super) fn up_to_three_numbers(text: &str) -> usize {
    match text.chars().take(3).take_while(|c| is_number(*c)).map(char::len_utf8).sum() {
        0 => run(text, |c| !is_number(c)),
        n => n,
    }
}

/// `[0-9][0-9][0-9]`
pub(super) fn three_digits(text: &str) -> usize {
    let bytes = text.as_bytes();
    let at = bytes.windows(3).position(|w| w.iter().all(u8::is_ascii_digit));
    match at {
        Some(0) => 3,
        Some(n) => n,
        None => text.len(),
    }
}

/// `(?=(\d{3})+(?!\d))`: before each three digits, counted from the last.
pub(super) fn thousands<'t>(text: &'t str, word: &mut dyn FnMut(&'t str)) {
    let mut start = 0;
    let mut at = 0;
    while at < text.len() {
        at += run(&text[at..], |c| !c.is_ascii_digit());
        let end = at + run(&text[at..], |c| c.is_ascii_digit());
        for cut in (at + (end - at) % 3..end).step_by(3).filter(|cut| *cut > 0) {
            word(&text[start..cut]);
            start = cut;
        }
        at = end;
    }
    word(&text[start..]);
}

/// Numbers of three digits, counted from the last; the first of a number takes
/// what lies before it, and later stages part them. llama.cpp does this for
/// `\p{AFMoE_digits}` and for `\d{1,3}(?=(?:\d{3})*\b)`.
pub(super) fn number_groups<'t>(mut text: &'t str, word: &mut dyn FnMut(&'t str)) {
    while !text.is_empty() {
        let before = run(text, |c| !is_number(c));
        let number = run(&text[before..], is_number);
        let mut left = text[before..before + number].chars().count();
        let mut end = before;
        while left > 0 {
            let size = if left.is_multiple_of(3) { 3 } else { left % 3 };
            left -= size;
            end += text[end..].chars().take(size).map(char::len_utf8).sum::<usize>();
            let (first, rest) = text.split_at(end);
            word(first);
            (text, end) = (rest, 0);
        }
        if number == 0 {
            return word(text);
        }
    }
}

/// ``[\p{P}\$\+<=>\^~\|`]+``
pub(super) fn punctuation_falcon(text: &str) -> usize {
    alternate(text, |c| c == '`' || is_punctuation_default(c))
}

/// `[\p{P}\$\+<=>\^~\|]+`
pub(super) fn punctuation_default(text: &str) -> usize {
    alternate(text, is_punctuation_default)
}

fn is_punctuation_default(c: char) -> bool {
    "$+<=>^~|".contains(c) || class(c) == Class::Punctuation
}

/// ``[\p{P}!-/:-@\[-`{-~]``
pub(super) fn punctuation_chameleon(text: &str) -> usize {
    single(text, |c| c.is_ascii_punctuation() || is_punctuation(c))
}

/// `<sentinel:[0-9]+>`
pub(super) fn sentinel(text: &str) -> usize {
    find(text, |text| {
        let Some(rest) = text.strip_prefix("<sentinel:") else { return 0 };
        let digits = run(rest, |c| c.is_ascii_digit());
        match digits > 0 && rest[digits..].starts_with('>') {
            true => text.len() - rest.len() + digits + 1,
            false => 0,
        }
    })
}

/// `IMGIMG[A-I]{1,4}Z`
pub(super) fn image(text: &str) -> usize {
    find(text, |text| {
        let Some(rest) = text.strip_prefix("IMGIMG") else { return 0 };
        let letters = run(rest, |c| ('A'..='I').contains(&c));
        match (1..=4).contains(&letters) && rest[letters..].starts_with('Z') {
            true => text.len() - rest.len() + letters + 1,
            false => 0,
        }
    })
}

/// `[\t\n]|    |  `
pub(super) fn indent(text: &str) -> usize {
    find(text, |text| match text.as_bytes() {
        [b'\t' | b'\n', ..] => 1,
        [b' ', b' ', b' ', b' ', ..] => 4,
        [b' ', b' ', ..] => 2,
        _ => 0,
    })
}

/// `[\r\n]`
pub(super) fn newline(text: &str) -> usize {
    single(text, is_newline)
}

/// `[^\n]+|[\n]+`
pub(super) fn lines(text: &str) -> usize {
    alternate(text, |c| c == '\n')
}

/// Before each U+2581.
pub(super) fn metaspace(text: &str) -> usize {
    let first = text.chars().next().map_or(0, char::len_utf8);
    text[first..].find('\u{2581}').map_or(text.len(), |at| first + at)
}

/// `\S+`
pub(super) fn no_spaces(text: &str) -> usize {
    alternate(text, |c| !c.is_whitespace())
}

/// ` ?[^(\s|.,!?…。，、।۔،)]+`
pub(super) fn poro(text: &str) -> usize {
    let inside = |c: char| !c.is_whitespace() && !"(|.,!?…。，、।۔،)".contains(c);
    find(text, |text| {
        let rest = skip(text, |c| c == ' ');
        match run(rest, inside) {
            0 => 0,
            n => text.len() - rest.len() + n,
        }
    })
}

/// `\s{512}(?!\S)|\s{256}(?!\S)|…|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}` in white
/// space that `\s+(?!\S)|\s+` cut out.
pub(super) fn powers_of_spaces(text: &str) -> usize {
    // No other word ends in white space that is no newline.
    let blank = text.ends_with(|c: char| c.is_whitespace() && !is_newline(c));
    if !blank {
        return text.len();
    }
    let count = text.chars().take(512).count();
    let cut = [512, 256, 128, 64, 32, 16, 8, 4, 2].into_iter().find(|n| *n <= count);
    text.char_indices().nth(cut.unwrap_or(1)).map_or(text.len(), |(at, _)| at)
}

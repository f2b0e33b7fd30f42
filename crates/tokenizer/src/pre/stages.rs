use crate::unicode::{Class, class};

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
pub(super) fn gpt2(text: &str) -> usize {
    if let Some(n) = contraction(text, |a, b| a == b) {
        return n;
    }
    let rest = text.strip_prefix(' ').unwrap_or(text);
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

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
/// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
pub(super) fn llama3(text: &str) -> usize {
    words_and_numbers::<3>(text)
}

/// As [`llama3`] with `\p{N}` for `\p{N}{1,3}`.
pub(super) fn qwen2(text: &str) -> usize {
    words_and_numbers::<1>(text)
}

fn words_and_numbers<const DIGITS: usize>(text: &str) -> usize {
    if let Some(n) = contraction(text, |a, b| a.eq_ignore_ascii_case(&b)) {
        return n;
    }
    let mut chars = text.chars();
    let first = chars.next().unwrap_or_default();
    if is_number(first) {
        return text.chars().take(DIGITS).take_while(|c| is_number(*c)).map(char::len_utf8).sum();
    }
    if is_letter(first) {
        return run(text, is_letter);
    }
    if !is_newline(first) {
        let letters = run(chars.as_str(), is_letter);
        if letters > 0 {
            return first.len_utf8() + letters;
        }
    }
    let rest = text.strip_prefix(' ').unwrap_or(text);
    let others = run(rest, is_other);
    if others > 0 {
        return text.len() - rest.len() + others + run(&rest[others..], is_newline);
    }
    let blank = &text[..run(text, char::is_whitespace)];
    match blank.rfind(is_newline) {
        Some(last) => last + 1,
        None => spaces(text),
    }
}

/// `\p{N}`, and what lies between.
pub(super) fn number(text: &str) -> usize {
    match text.chars().next() {
        Some(c) if is_number(c) => c.len_utf8(),
        _ => run(text, |c| !is_number(c)),
    }
}

/// `\p{N}+`, and what lies between.
pub(super) fn numbers(text: &str) -> usize {
    alternate(text, is_number)
}

/// `[0-9][0-9][0-9]`, and what lies between.
pub(super) fn three_digits(text: &str) -> usize {
    let bytes = text.as_bytes();
    let at = bytes.windows(3).position(|w| w.iter().all(u8::is_ascii_digit));
    match at {
        Some(0) => 3,
        Some(n) => n,
        None => text.len(),
    }
}

/// ``[\p{P}\$\+<=>\^~\|`]+``, and what lies between.
pub(super) fn punctuation_falcon(text: &str) -> usize {
    alternate(text, |c| c == '`' || is_punctuation(c))
}

/// `[\p{P}\$\+<=>\^~\|]+`, and what lies between.
pub(super) fn punctuation_default(text: &str) -> usize {
    alternate(text, is_punctuation)
}

fn is_punctuation(c: char) -> bool {
    "$+<=>^~|".contains(c) || class(c) == Class::Punctuation
}

fn is_letter(c: char) -> bool {
    class(c) == Class::Letter
}

fn is_number(c: char) -> bool {
    class(c) == Class::Number
}

fn is_newline(c: char) -> bool {
    c == '\r' || c == '\n'
}

/// `[^\s\p{L}\p{N}]`
fn is_other(c: char) -> bool {
    !c.is_whitespace() && !matches!(class(c), Class::Letter | Class::Number)
}

/// The byte length of the characters at the start that are `inside`.
fn run(text: &str, inside: impl Fn(char) -> bool) -> usize {
    text.find(|c| !inside(c)).unwrap_or(text.len())
}

/// The run at the start of characters that are all inside or all outside.
fn alternate(text: &str, inside: impl Fn(char) -> bool) -> usize {
    let first = text.chars().next().is_some_and(&inside);
    run(text, |c| inside(c) == first)
}

/// `\s+(?!\S)|\s+`: leaves the last space of several to the word that follows.
fn spaces(text: &str) -> usize {
    let n = run(text, char::is_whitespace);
    match text[..n].char_indices().next_back() {
        Some((last, _)) if last > 0 && n < text.len() => last,
        _ => n,
    }
}

/// `'s|'t|'re|'ve|'m|'ll|'d`
fn contraction(text: &str, same: impl Fn(u8, u8) -> bool) -> Option<usize> {
    let after = text.strip_prefix('\'')?.as_bytes();
    let found = ["s", "t", "m", "d", "re", "ve", "ll"].into_iter().find(|ending| {
        after.len() >= ending.len() && ending.bytes().zip(after).all(|(a, &b)| same(a, b))
    })?;
    Some(1 + found.len())
}

//! Kimi K2: words end where Han characters begin.

use super::chars::{
    contraction_any_case, is_in, is_letter, is_newline, is_other, is_prefix, run, skip,
};
use super::scripts::HAN;
use super::words::Rest;

/// `\p{Han}+|[^\r\n\p{L}\p{N}]?[\p{L}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|
/// \p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
///
/// The published expression also ends words before capitals and takes marks
/// as letters; llama.cpp does not.
pub(super) fn kimi_k2(text: &str) -> usize {
    let rest = Rest { digits: 3, other: is_other, tail: is_newline, tail_length: usize::MAX };
    rest.first(text, |text| match run(text, is_han) {
        0 => letters(text),
        n => n,
    })
}

fn letters(text: &str) -> usize {
    let rest = skip(text, is_prefix);
    match run(rest, |c| is_letter(c) && !is_han(c)) {
        0 => 0,
        n => {
            let end = text.len() - rest.len() + n;
            end + contraction_any_case(&text[end..])
        }
    }
}

fn is_han(c: char) -> bool {
    is_in(HAN, c)
}

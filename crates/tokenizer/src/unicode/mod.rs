//! What the splitters need to know about characters.

mod table;

use table::RANGES;
use unicode_normalization::char::decompose_canonical;

/// First letter of the Unicode general category; numbered as in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Class {
    Unassigned,
    Control,
    Separator,
    Letter,
    Mark,
    Number,
    Punctuation,
    Symbol,
}

/// The class of `c` in Unicode 15.1.
pub(crate) fn class(c: char) -> Class {
    match ASCII.get(c as usize) {
        Some(class) => *class,
        None => {
            // The first range starts at zero, so one always comes before.
            let after = RANGES.partition_point(|r| r >> 4 <= c as u32);
            from_number(RANGES[after - 1] & 0xf)
        }
    }
}

/// The simple lower-case mapping of Unicode 15.1.
pub(crate) fn lowercase(c: char) -> char {
    // The standard library knows later versions, which map only what 15.1 leaves unassigned.
    match class(c) {
        Class::Unassigned => c,
        _ => c.to_lowercase().next().unwrap_or(c),
    }
}

/// The first character of the canonical decomposition in Unicode 15.1: a
/// letter without its accents.
pub(crate) fn without_accent(c: char) -> char {
    if c.is_ascii() || class(c) == Class::Unassigned {
        return c;
    }
    let mut first = None;
    decompose_canonical(c, |part| {
        first.get_or_insert(part);
    });
    first.unwrap_or(c)
}

const ASCII: [Class; 128] = {
    let mut classes = [Class::Unassigned; 128];
    let mut range = 0;
    let mut c = 0;
    while c < classes.len() {
        while RANGES[range + 1] >> 4 <= c as u32 {
            range += 1;
        }
        classes[c] = from_number(RANGES[range] & 0xf);
        c += 1;
    }
    classes
};

const fn from_number(number: u32) -> Class {
    match number {
        1 => Class::Control,
        2 => Class::Separator,
        3 => Class::Letter,
        4 => Class::Mark,
        5 => Class::Number,
        6 => Class::Punctuation,
        7 => Class::Symbol,
        _ => Class::Unassigned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_well_known_characters() {
        let examples = [
            (Class::Control, "\0\n\u{85}\u{200d}"),
            (Class::Separator, " \u{a0}\u{3000}\u{2028}"),
            (Class::Letter, "azAZéßяあ漢한ªᎠ𐐀"),
            (Class::Mark, "\u{301}\u{93e}\u{fe0f}"),
            (Class::Number, "09²½٣Ⅷ𝟘"),
            (Class::Punctuation, "!_-«、。"),
            (Class::Symbol, "$+<^`|~€😀"),
            (Class::Unassigned, "\u{378}\u{e0080}"),
        ];
        for (expected, chars) in examples {
            for c in chars.chars() {
                assert_eq!(class(c), expected, "{c:?}");
            }
        }
    }

    #[test]
    fn letters_and_numbers_agree_with_the_standard_library() {
        // `is_numeric` is the category N; `is_alphabetic` also takes some marks and symbols.
        for c in (0..0x3000).filter_map(char::from_u32) {
            if class(c) != Class::Unassigned {
                assert_eq!(class(c) == Class::Number, c.is_numeric(), "{c:?}");
                assert!(class(c) != Class::Letter || c.is_alphabetic(), "{c:?}");
            }
        }
    }

    #[test]
    fn lower_case_and_accents() {
        let lower = |text: &str| text.chars().map(lowercase).collect::<String>();
        assert_eq!(lower("AzÉΣİẞ漢\u{1c89}"), "azéσiß漢\u{1c89}");
        let plain = |text: &str| text.chars().map(without_accent).collect::<String>();
        assert_eq!(plain("aéǖộ漢각\u{113c5}"), "aeuo漢\u{1100}\u{113c5}");
    }

    #[test]
    fn ranges_ascend() {
        assert_eq!(RANGES[0] >> 4, 0);
        assert!(RANGES.windows(2).all(|w| w[0] >> 4 < w[1] >> 4));
    }
}

use std::sync::LazyLock;

use fancy_regex::Regex;
use proptest::prelude::*;

use super::expressions::EXPRESSIONS;
use super::*;
use crate::unicode::{Class, class};

fn words<'t>(pre: &str, text: &'t str) -> Vec<&'t str> {
    let mut words = Vec::new();
    find(pre).expect("a known name").split(text, &mut |w| words.push(w));
    words
}

#[test]
fn gpt_2() {
    let text = "Don't we'll  x=10 +\n\n  ab\tc \u{3000}é  ";
    assert_eq!(
        words("gpt-2", text),
        [
            "Don", "'t", " we", "'ll", " ", " x", "=", "10", " +", "\n\n ", " ab", "\t", "c", " ",
            "\u{3000}", "é", "  "
        ]
    );
    assert_eq!(words("gpt-2", "DON'T 'sx 'r"), ["DON", "'", "T", " '", "sx", " '", "r"]);
}

#[test]
fn smollm_isolates_digits() {
    // The space before a digit ends its part, so it stands alone.
    assert_eq!(words("smollm", "in 1984!  7"), ["in", " ", "1", "9", "8", "4", "!", "  ", "7"]);
}

#[test]
fn llama_bpe() {
    let text = "WE'LL go\u{a0}on\r\n\r\n  12345 (x)--\n\ty ";
    assert_eq!(
        words("llama-bpe", text),
        [
            "WE", "'LL", " go", "\u{a0}on", "\r\n\r\n", " ", " ", "123", "45", " (", "x", ")--\n",
            "\ty", " "
        ]
    );
}

#[test]
fn qwen2_isolates_digits() {
    assert_eq!(words("qwen2", "a 12.5'Re"), ["a", " ", "1", "2", ".", "5", "'Re"]);
}

#[test]
fn default_and_falcon() {
    let text = "a,b 12345 `x»";
    assert_eq!(words("default", text), ["a", ",", "b", " ", "123", "45", " `", "x", "»"]);
    assert_eq!(words("falcon", text), ["a", ",", "b", " ", "123", "45", " ", "`", "x", "»"]);
}

#[test]
fn unknown_names_are_not_found() {
    assert!(find("no-such-name").is_none());
    assert!(names().any(|n| n == "smollm"));
}

/// What the expressions cut, each what the one before it left.
fn cut<'t>(expressions: &[Regex], text: &'t str, word: &mut dyn FnMut(&'t str)) {
    let Some((expression, rest)) = expressions.split_first() else { return word(text) };
    let mut start = 0;
    let mut part = |from: usize, to: usize| {
        if from < to {
            cut(rest, &text[from..to], word);
        }
    };
    for found in expression.find_iter(text) {
        let found = found.expect("few steps");
        part(start, found.start());
        part(found.start(), found.end());
        start = found.end();
    }
    part(start, text.len());
}

static COMPILED: LazyLock<Vec<(&str, Vec<Regex>)>> = LazyLock::new(|| {
    let compile = |expression: &&str| Regex::new(expression).expect("a valid expression");
    EXPRESSIONS.iter().map(|(name, list)| (*name, list.iter().map(compile).collect())).collect()
});

/// Texts with much of what the expressions look for.
fn text() -> impl Strategy<Value = String> {
    let known = |c: &char| class(*c) != Class::Unassigned;
    let scripts = [
        '\0'..='\u{ff}',
        '\u{100}'..='\u{24f}',
        '\u{2b0}'..='\u{52f}',
        '\u{590}'..='\u{6ff}',
        '\u{900}'..='\u{eff}',
        '\u{1000}'..='\u{11ff}',
        '\u{1c80}'..='\u{20ff}',
        '\u{2100}'..='\u{2dff}',
        '\u{2e80}'..='\u{33ff}',
        '\u{4db0}'..='\u{4e20}',
        '\u{9f90}'..='\u{abff}',
        '\u{d700}'..='\u{d7ff}',
        '\u{f8f0}'..='\u{fb20}',
        '\u{fe20}'..='\u{ffff}',
        '\u{10400}'..='\u{104ff}',
        '\u{1d400}'..='\u{1f6ff}',
        '\u{20000}'..='\u{2ebff}',
        '\0'..='\u{10ffff}',
    ];
    let character = prop::sample::select(scripts.to_vec())
        .prop_flat_map(|script| prop::char::range(*script.start(), *script.end()))
        .prop_filter("known to all versions", known);
    let common = vec![
        "'s",
        "'LL",
        "'Ve",
        "don't",
        "Ab",
        "CDe",
        "É",
        "ñ",
        "\u{301}",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "\u{a0}",
        "\u{3000}",
        "\u{85}",
        "12",
        "3456789",
        "٣٤",
        "½",
        "/",
        "!?",
        "…",
        "。",
        "<sentinel:12>",
        "IMGIMGACZ",
        "한",
        "漢",
        "かな",
        "🦙",
        "\u{2581}",
        "'",
        "a b",
    ];
    let piece = prop_oneof![
        3 => prop::collection::vec(character, 1..4).prop_map(|chars| chars.into_iter().collect()),
        4 => prop::sample::select(common).prop_map(str::to_owned),
        2 => "[ \n\r\t]{1,9}",
        2 => "[a-cA-C'sdm0-9 ]{1,9}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces: Vec<String>| pieces.concat())
}

#[test]
fn spaces_are_cut_by_powers_of_two() {
    for count in [3, 5, 31, 64, 65, 511, 512, 513, 1100] {
        for after in ["", "x", "1"] {
            let text = format!("{}{after}", " ".repeat(count));
            let (_, expressions) = COMPILED.iter().find(|kind| kind.0 == "jais-2").expect("a kind");
            let mut expected = Vec::new();
            cut(expressions, &text, &mut |word| expected.push(word));
            assert_eq!(words("jais-2", &text), expected);
        }
    }
}

proptest! {
    #[test]
    fn words_are_the_text(text in r"[\PC\s'0-9a-zA-Z ]{0,60}") {
        for name in names() {
            let words = words(name, &text);
            prop_assert!(words.iter().all(|w| !w.is_empty()));
            prop_assert_eq!(words.concat(), text.clone());
        }
    }

    #[test]
    fn words_are_those_of_the_expressions(text in text()) {
        for (name, expressions) in COMPILED.iter() {
            let mut expected = Vec::new();
            cut(expressions, &text, &mut |word| expected.push(word));
            prop_assert_eq!(words(name, &text), expected, "{}", name);
        }
    }
}

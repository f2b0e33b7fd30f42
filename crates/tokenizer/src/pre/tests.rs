use super::*;
use proptest::prelude::*;

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

proptest! {
    #[test]
    fn words_are_the_text(text in r"[\PC\s'0-9a-zA-Z ]{0,60}") {
        for name in names() {
            let words = words(name, &text);
            prop_assert!(words.iter().all(|w| !w.is_empty()));
            prop_assert_eq!(words.concat(), text.clone());
        }
    }
}

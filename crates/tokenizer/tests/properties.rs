//! What holds for every text.

mod common;

use std::sync::LazyLock;

use common::{BPE, OTHERS, SPM, build, read, tokenizer};
use proptest::prelude::*;
use tokenizer::Tokenizer;

static BPE_CUTS: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| BPE.map(tokenizer).into());
static SPM_CUTS: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| SPM.map(tokenizer).into());

static OTHER_CUTS: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| OTHERS.map(tokenizer).into());

/// All cuts.
fn cuts() -> impl Iterator<Item = &'static Tokenizer> {
    BPE_CUTS.iter().chain(SPM_CUTS.iter()).chain(OTHER_CUTS.iter())
}

/// Some models have no token for bytes that were rare in their training.
fn has_all_bytes(t: &Tokenizer) -> bool {
    (0..=255).all(|byte| (0..256).any(|id| t.token_bytes(id).as_deref() == Some(&[byte])))
}

/// Random characters, pieces of special tokens, and what splitters look at.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        "[a-zA-Z0-9 \r\n\t'.,!]{1,8}",
        prop::sample::select(vec!["<|im_end|>", "<|", "|>", "<s>", "</s>", "<0x41>", "\u{2581}"])
            .prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn bpe_gives_the_text_back(text in text(), parse: bool) {
        for t in BPE_CUTS.iter().filter(|t| has_all_bytes(t)) {
            prop_assert_eq!(t.decode(&t.encode(&text, false, parse), true), text.clone());
        }
    }

    #[test]
    fn sentencepiece_gives_the_text_back(text in text()) {
        // It can't tell U+2581 from a space.
        let text = text.replace('\u{2581}', " ");
        for t in SPM_CUTS.iter() {
            let back = t.decode(&t.encode(&text, false, false), true);
            let expected = if text.is_empty() { String::new() } else { format!(" {text}") };
            prop_assert_eq!(back, expected);
        }
    }

    #[test]
    fn bytes_give_the_text_back(text in text()) {
        for name in ["rwkv", "plamo2"] {
            let t = &OTHER_CUTS[OTHERS.iter().position(|n| *n == name).expect("a cut")];
            // PLaMo 2 drops a byte order mark.
            let text = text.trim_start_matches('\u{feff}');
            prop_assert_eq!(t.decode(&t.encode(text, false, false), true), text);
        }
    }

    #[test]
    fn characters_give_the_text_back(text in text()) {
        let t = &OTHER_CUTS[OTHERS.iter().position(|n| *n == "gemma4").expect("a cut")];
        let text = text.replace('\u{2581}', " ");
        prop_assert_eq!(t.decode(&t.encode(&text, false, false), true), text);
    }

    #[test]
    fn any_text_encodes(text in any::<String>(), add: bool, parse: bool) {
        for t in cuts() {
            let ids = t.encode(&text, add, parse);
            prop_assert!(ids.iter().all(|id| (*id as usize) < t.n_vocab()));
        }
    }

    #[test]
    fn any_ids_decode(ids in prop::collection::vec(any::<u32>().prop_map(|x| x % 2000), 0..30)) {
        for t in cuts() {
            let mut decoder = t.decoder(true);
            let parts: String = ids.iter().map(|id| decoder.push(*id).to_owned()).collect();
            prop_assert_eq!(parts + &decoder.finish(), t.decode(&ids, true));
        }
    }
}

#[test]
fn most_vocabularies_have_all_bytes() {
    assert!(BPE_CUTS.iter().filter(|t| has_all_bytes(t)).count() >= 3);
}

#[test]
fn long_runs_take_no_quadratic_time() {
    // A hundred thousand squared would take minutes.
    for unit in ["a", " ", "\n", "<", "1", "é", "🙂", "A\u{301}", "<dna>", "<|im_end|>"] {
        let text = unit.repeat(100_000);
        for t in cuts() {
            t.encode(&text, true, true);
        }
        for t in BPE_CUTS.iter().filter(|t| has_all_bytes(t)).chain(SPM_CUTS.iter()) {
            let back = t.decode(&t.encode(&text, false, true), true);
            assert_eq!(back.trim_start(), text.trim_start());
        }
    }
}

#[test]
fn long_runs_take_no_quadratic_time_before_any_merge() {
    let file = read("qwen2");
    let pre = read("pre");
    let names = pre["groups"].as_array().expect("groups").iter().map(|group| &group["pre"][0]);
    for name in names.filter_map(|name| name.as_str()) {
        let t = build(&file, |parts| parts.pre = name).expect("a tokenizer");
        for unit in ["A", " ", "\n ", "1", "!", "\u{301}", "한", "a ", "É", "1 "] {
            t.encode(&unit.repeat(100_000), false, false);
        }
    }
}

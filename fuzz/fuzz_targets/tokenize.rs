//! Any text under every kind of tokenizer and pre-tokenizer: ids are in range, and those of
//! kinds that lose nothing give the text back.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tokenizer::Tokenizer;

#[path = "../../crates/tokenizer/tests/common/mod.rs"]
#[allow(dead_code)]
mod common;

/// The tokenizer and whether it loses nothing.
static TOKENIZERS: LazyLock<Vec<(Tokenizer, bool)>> = LazyLock::new(|| {
    let cuts = common::BPE.into_iter().chain(common::SPM).chain(common::OTHERS);
    let mut all: Vec<_> = cuts.map(|n| (common::tokenizer(n), n == "rwkv")).collect();
    let file = common::read("qwen2");
    let pre = common::read("pre");
    for group in pre["groups"].as_array().expect("groups") {
        let name = group["pre"][0].as_str().expect("a name");
        let tokenizer = common::build(&file, |parts| parts.pre = name).expect("a tokenizer");
        all.push((tokenizer, false));
    }
    all
});

fuzz_target!(|input: (bool, bool, &str)| {
    let (add_special, parse_special, text) = input;
    for (tokenizer, lossless) in TOKENIZERS.iter() {
        let ids = tokenizer.encode(text, add_special, parse_special);
        assert!(ids.iter().all(|id| (*id as usize) < tokenizer.n_vocab()));
        tokenizer.detokenize(&ids, true, false);
        if *lossless {
            assert_eq!(tokenizer.decode(&ids, true), text);
        }
    }
});

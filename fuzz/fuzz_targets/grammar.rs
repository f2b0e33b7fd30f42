//! Any text as a grammar of every kind: it is refused, or texts can be held to it, within bounds
//! of time and memory.
#![no_main]

use std::sync::{Arc, LazyLock};

use grammar::{Constraint, Grammar, Vocabulary};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/tokenizer/tests/common/mod.rs"]
#[allow(dead_code)]
mod common;

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    Vocabulary::new(&Arc::new(common::tokenizer("smollm"))).expect("a valid vocabulary")
});

fuzz_target!(|input: (u8, u64, &str)| {
    let (kind, mut dice, text) = input;
    let grammar = match kind % 4 {
        0 | 1 => Grammar::gbnf(text),
        2 => Grammar::json_schema_text(text),
        _ => Ok(Grammar::regex(text)),
    };
    let constraint = grammar.and_then(|grammar| Constraint::new(&grammar, &VOCABULARY));
    let Ok(mut constraint) = constraint else { return };
    for _ in 0..20 {
        constraint.forced();
        let Ok(Some(allowed)) = constraint.allowed() else { return };
        let tokens: Vec<u32> = allowed.iter().collect();
        let Some(token) = tokens.get(dice as usize % tokens.len().max(1)) else { return };
        dice = dice.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        constraint.accept(*token).expect("an allowed token");
        if constraint.is_complete() {
            return;
        }
    }
});

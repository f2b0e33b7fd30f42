//! Any answer in any format: it is taken apart, the same way however it arrives.
#![no_main]

use std::sync::LazyLock;

use chat::{Answer, Chat, Message, Parser, ReasoningFormat, Request};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/chat/tests/common/mod.rs"]
#[allow(dead_code)]
mod common;

static PARSERS: LazyLock<Vec<Parser>> = LazyLock::new(|| {
    let mut parsers = Vec::new();
    for source in common::templates().values() {
        let chat = Chat::new(source, "<s>", "</s>").expect("a valid template");
        let mut request = Request::new(vec![Message::new("user", "Hi.")]);
        request.tools = common::answers::tools();
        for format in [ReasoningFormat::Apart, ReasoningFormat::InContent] {
            request.reasoning_format = format;
            parsers.extend(chat.prompt(&request).ok().map(|prompt| prompt.parser));
        }
    }
    parsers
});

fuzz_target!(|input: (u8, u8, &str)| {
    let (which, length, text) = input;
    let parser = &PARSERS[usize::from(which) % PARSERS.len()];
    let whole = parser.clone().parse(text);
    let (mut parser, mut answer) = (parser.clone(), Answer::default());
    let mut piece = String::new();
    for c in text.chars() {
        piece.push(c);
        if piece.len() > usize::from(length) {
            parser.push(&std::mem::take(&mut piece)).into_iter().for_each(|d| answer.add(d));
        }
    }
    parser.push(&piece).into_iter().for_each(|d| answer.add(d));
    let (deltas, diagnostic) = parser.finish();
    deltas.into_iter().for_each(|d| answer.add(d));
    answer.diagnostic = diagnostic;
    assert_eq!(answer, whole);
});

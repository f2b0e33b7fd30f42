//! An answer reads the same however it arrives, and no text is lost.

mod common;

use std::sync::LazyLock;

use chat::{Answer, Delta, Message, Parser, Prompt};
use common::answers::{calling, chat, request, written};
use common::templates;
use proptest::prelude::*;

/// Prompts and answers to them of all templates.
static ANSWERS: LazyLock<Vec<(Prompt, String)>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for source in templates().values() {
        let chat = chat(source);
        let mut thoughtful = Message::new("assistant", "It rains.\n\nTake a coat!");
        thoughtful.reasoning_content = Some("The sky is\ngrey.".into());
        let mut both = calling(&chat);
        both.reasoning_content = thoughtful.reasoning_content.clone();
        for message in [calling(&chat), thoughtful, both] {
            all.extend(written(&chat, &request(), &message));
        }
    }
    all
});

/// Takes a text apart that arrives in pieces of these lengths, again and again.
fn in_pieces(mut parser: Parser, text: &str, lengths: &[usize]) -> Answer {
    let mut answer = Answer::default();
    let mut lengths = lengths.iter().cycle();
    let mut rest = text;
    while !rest.is_empty() {
        let mut length = (*lengths.next().expect("a length")).min(rest.len());
        while !rest.is_char_boundary(length) {
            length += 1;
        }
        let (piece, after) = rest.split_at(length);
        parser.push(piece).into_iter().for_each(|delta| answer.add(delta));
        rest = after;
    }
    let (deltas, diagnostic) = parser.finish();
    deltas.into_iter().for_each(|delta| answer.add(delta));
    answer.diagnostic = diagnostic;
    answer
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn pieces_make_no_difference(
        which in any::<prop::sample::Index>(),
        lengths in prop::collection::vec(1..30_usize, 1..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
        change in prop::option::of((any::<prop::sample::Index>(), "[<>{}\\[\\]\"',:=a \\n|]{0,3}")),
    ) {
        let (prompt, text) = which.get(&ANSWERS);
        let mut text = text.clone();
        let place = |index: prop::sample::Index, text: &str| {
            let mut at = index.index(text.len().max(1));
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        if let Some(cut) = cut {
            text.truncate(place(cut, &text));
        }
        if let Some((index, new)) = change {
            let at = place(index, &text);
            let end = text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
            text.replace_range(at..end, &new);
        }
        let whole = prompt.parser.clone().parse(&text);
        prop_assert_eq!(&in_pieces(prompt.parser.clone(), &text, &lengths), &whole);
        prop_assert_eq!(&in_pieces(prompt.parser.clone(), &text, &[1]), &whole);
    }

    #[test]
    fn plain_text_stays(text in any::<String>(), lengths in prop::collection::vec(1..9_usize, 1..5)) {
        let answer = in_pieces(Parser::plain(), &text, &lengths);
        prop_assert_eq!(answer, Answer { content: text, ..Answer::default() });
    }
}

#[test]
fn calls_of_unknown_functions_are_content() {
    for (prompt, text) in ANSWERS.iter() {
        let parser = prompt.parser.clone();
        if parser.clone().parse(text).tool_calls.is_empty() || parser.is_thinking() {
            continue;
        }
        let text = text.replace("get_weather", "get_lost");
        let answer = parser.parse(&text);
        assert_eq!(answer.tool_calls, [], "{text}");
        assert!(answer.diagnostic.is_some(), "{text}");
        assert!(answer.content.contains("get_lost"), "{text}: {answer:?}");
    }
}

#[test]
fn arguments_stream() {
    let templates = templates();
    let chat = chat(&templates["Qwen-Qwen3-0.6B"]);
    let mut parser = chat.prompt(&request()).expect("a prompt").parser;
    let mut deltas = parser.push("<think>\nHm");
    deltas.extend(parser.push("m.\n</think>\n\nSo: <tool"));
    deltas.extend(parser.push("_call>\n{\"name\": \"get_weather\", \"arguments\": {\"ci"));
    deltas.extend(parser.push("ty\": \"Par"));
    assert_eq!(
        deltas,
        [
            Delta::Reasoning("Hm".into()),
            Delta::Reasoning("m.".into()),
            Delta::Content("So:".into()),
            Delta::ToolCall { index: 0, id: None, name: "get_weather".into() },
            Delta::Arguments { index: 0, fragment: "{\"ci".into() },
            Delta::Arguments { index: 0, fragment: "ty\": \"Par".into() },
        ]
    );
    let (deltas, diagnostic) = parser.finish();
    assert_eq!((deltas.len(), diagnostic), (0, Some(chat::Diagnostic::UnfinishedCall)));
}

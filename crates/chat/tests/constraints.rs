//! Constraints are grammars that llguidance takes, and they allow what templates write.

mod common;

use std::sync::{Arc, OnceLock};

use chat::{Chat, Constraint, Prompt, ToolChoice};
use common::answers::{calling, chat, request, written};
use common::templates;
use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};
use toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};

/// A vocabulary of all bytes and these special tokens.
fn vocabulary(special: &[String]) -> TokEnv {
    let mut words: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    for token in special {
        words.push([&[TokTrie::SPECIAL_TOKEN_MARKER], token.as_bytes()].concat());
    }
    words.push([&[TokTrie::SPECIAL_TOKEN_MARKER], "<|end of text|>".as_bytes()].concat());
    let end = words.len() as u32 - 1;
    let trie = TokTrie::from(&TokRxInfo::new(words.len() as u32, end), &words);
    Arc::new(ApproximateTokEnv::new(trie))
}

/// The tokens of a text.
fn tokens(text: &str, special: &[String]) -> Vec<u32> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        let found = special.iter().enumerate().filter(|(_, token)| rest.starts_with(*token));
        if let Some((i, token)) = found.max_by_key(|(_, token)| token.len()) {
            tokens.push(256 + i as u32);
            rest = &rest[token.len()..];
        } else {
            tokens.push(u32::from(first));
            let length = rest.chars().next().map_or(1, char::len_utf8);
            tokens.extend(rest.bytes().take(length).skip(1).map(u32::from));
            rest = &rest[length..];
        }
    }
    tokens
}

/// The part of a text from where a constraint does not allow it.
fn not_allowed(constraint: &Constraint, text: &str, special: &[String]) -> String {
    let id = |text: &str| special.iter().position(|token| token == text).map(|i| 256 + i as u32);
    let lark = constraint.lark(&id);
    let new = || ParserFactory::new_simple(&vocabulary(special)).expect("a factory");
    static BYTES: OnceLock<ParserFactory> = OnceLock::new();
    let own;
    let factory = if special.is_empty() {
        BYTES.get_or_init(new)
    } else {
        own = new();
        &own
    };
    let parser = factory.create_parser(TopLevelGrammar::from_lark(lark.clone()));
    let mut matcher = Matcher::new(parser);
    assert!(matcher.get_error().is_none(), "{lark}\n{:?}", matcher.get_error());
    let tokens = tokens(text, special);
    let n = matcher.try_consume_tokens(&tokens).unwrap_or_else(|e| panic!("{lark}\n{e}"));
    let rest: Vec<u8> = tokens[n..].iter().filter_map(|t| u8::try_from(*t).ok()).collect();
    String::from_utf8_lossy(&rest).into_owned()
}

fn prompt(chat: &Chat, choice: ToolChoice) -> Option<(Prompt, String)> {
    let mut request = request();
    request.tool_choice = choice;
    written(chat, &request, &calling(chat))
}

#[test]
fn templates_write_what_constraints_allow() {
    let (mut allowing, mut failed) = (0, Vec::new());
    for (name, source) in templates() {
        let chat = chat(&source);
        let (lazy, text) = prompt(&chat, ToolChoice::Auto).expect("a text");
        let (required, _) = prompt(&chat, ToolChoice::Required).expect("a text");
        let required = required.constraint.expect("a constraint");
        // Some templates write values as Python does, which is no JSON, or escape letters.
        if text.contains("True") || text.contains("\\u00e9") {
            continue;
        }
        let mut cases = Vec::new();
        let mut start = 0;
        if let Some(lazy) = &lazy.constraint {
            let at = text.find(&lazy.after[0]).expect("the trigger");
            cases.push((lazy, &text[at + lazy.after[0].len()..]));
            // Harmony's trigger is within a header, Functionary's first one in the prompt.
            let is_first = !text.starts_with(" to=") && !text[..at].contains("get_weather");
            start = if is_first { at } else { 0 };
        }
        cases.push((&required, text[start..].trim_start_matches("<|CHATBOT_TOKEN|>")));
        for (constraint, text) in cases {
            for special in [Vec::new(), lazy.special.clone()] {
                let rest = not_allowed(constraint, text, &special);
                // What ends the turn is the model's to write.
                if rest.chars().count() > 80
                    || rest.contains("get_weather")
                    || rest.contains("main()")
                {
                    let lark = constraint.lark(&|_| None);
                    failed.push(format!("{name}: stops before {rest:?} of {text:?}\n{lark}"));
                    break;
                }
                allowing += 1;
            }
        }
    }
    assert!(failed.is_empty(), "{}\n{} failed", failed.join("\n"), failed.len());
    assert!(allowing > 200, "{allowing}");
}

#[test]
fn other_functions_and_arguments_are_not_allowed() {
    let templates = templates();
    let chat = chat(&templates["Qwen-Qwen3-0.6B"]);
    let (prompt, text) =
        prompt(&chat, ToolChoice::Function("get_weather_now".into())).expect("a text");
    let constraint = prompt.constraint.expect("a constraint");
    let start = text.find("<tool_call>").expect("a call");
    let rest = not_allowed(&constraint, &text[start..], &[]);
    assert!(rest.starts_with("\", \"arguments\""), "{rest}");
    let number = "<tool_call>\n{\"name\": \"get_weather_now\", \"arguments\": {\"code\": 5}}";
    assert_eq!(not_allowed(&constraint, number, &[]), "5}}");
    assert_eq!(not_allowed(&constraint, "Hello", &[]), "Hello");
}

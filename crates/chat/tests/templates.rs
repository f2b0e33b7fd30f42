//! Published templates against what Python's jinja2 makes of them.

use chat::{Error, Message, Template};
use serde_json::{Map, Value};

/// 2026-11-21, as in the fixtures.
const NOW: i64 = 1_795_267_505;

fn read(name: &str) -> String {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn object(name: &str) -> Map<String, Value> {
    serde_json::from_str(&read(name)).expect("a JSON object")
}

fn template(name: &str, bos: &str, eos: &str) -> Template {
    let source = read(&format!("templates/{name}.jinja"));
    Template::new(&source, bos, eos).expect("a valid template").at_time(NOW)
}

/// Renders a case of `cases.json`.
fn render(template: &Template, case: &Value) -> Result<String, Error> {
    let mut variables = case.as_object().expect("variables").clone();
    let messages = variables.shift_remove("messages").expect("messages");
    let messages: Vec<Message> = serde_json::from_value(messages).expect("messages");
    let prompt = variables.shift_remove("add_generation_prompt") == Some(Value::Bool(true));
    template.render_with(&messages, prompt, &variables)
}

#[test]
fn renderings_equal_those_of_python() {
    let cases = object("cases.json");
    let (mut texts, mut refusals) = (0, 0);
    for (name, renderings) in object("renderings.json") {
        let template = template(&name, "<s>", "</s>");
        for (case, expected) in renderings.as_object().expect("renderings by case") {
            let got = render(&template, &cases[case]);
            match expected.get("ok").and_then(Value::as_str) {
                Some(text) => {
                    assert_eq!(got.expect("a text"), text, "{name}, {case}");
                    texts += 1;
                }
                None => {
                    assert!(got.is_err(), "{name}, {case}: expected {expected}");
                    refusals += 1;
                }
            }
        }
    }
    assert_eq!((texts, refusals), (72, 18));
}

#[test]
fn smollm2_renders_as_in_llama_cpp() {
    let template = template("SmolLM2-135M-Instruct", "<|im_start|>", "<|im_end|>");
    let chats: Vec<Value> = serde_json::from_str(&read("smollm2.json")).expect("a list");
    assert_eq!(chats.len(), 5);
    for chat in chats {
        let user = Message::new("user", chat["user"].as_str().expect("a text"));
        let got = template.render(&[user], true).expect("a text");
        assert_eq!(got, chat["rendered"].as_str().expect("a text"));
    }
}

#[test]
fn a_refusal_carries_the_templates_words() {
    let system = Message::new("system", "Be brief.");
    match template("google-gemma-2-2b-it", "<bos>", "").render(&[system], true) {
        Err(Error::Raised(message)) => assert_eq!(message, "System role not supported"),
        other => panic!("expected a refusal, not {other:?}"),
    }
}

#[test]
fn the_fallback_is_chatml() {
    let template = Template::new(chat::CHATML, "", "").expect("a valid template");
    let messages = [Message::new("system", "Be brief."), Message::new("user", "Hi\n")];
    assert_eq!(
        template.render(&messages, true).expect("a text"),
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi\n<|im_end|>\n\
         <|im_start|>assistant\n"
    );
    assert!(!template.render(&messages, false).expect("a text").contains("assistant"));
}

#[test]
fn hostile_templates_end_in_errors() {
    let render = |source: &str| Template::new(source, "", "").and_then(|t| t.render(&[], true));
    let inner = "{% for j in range(9999) %}{% endfor %}";
    let endless = format!("{{% for i in range(9999) %}}{inner}{{% endfor %}}");
    assert!(matches!(render(&endless), Err(Error::TooLong(_))));
    let recursive = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}";
    assert!(matches!(render(recursive), Err(Error::Render(_))));
    for broken in ["{% if %}".to_owned(), "{% if 1 %}".repeat(10_000), "((".repeat(10_000)] {
        let source = format!("{{{{ {broken}");
        assert!(matches!(render(&source), Err(Error::Parse(_))));
    }
}

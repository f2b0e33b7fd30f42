//! `docs/templates.md` says what the code does. `UPDATE_DOCS=1 cargo test -p chat --test document`
//! writes it anew.

mod common;

use std::fmt::Write;
use std::path::Path;

use chat::{Chat, Message, Template};
use common::answers::{calling, calls_in, calls_of, request, written};
use common::{NOW, object, templates};
use serde_json::{Map, Value};

const INTRODUCTION: &str = "# Chat templates

What is done with the templates that models bring. This page is made by a test
(`crates/chat/tests/document.rs`) from the templates in `crates/chat/tests/data`.

- *Equal*: renders of ten conversations that equal Python's jinja2, set up as Hugging Face does, to
  the byte. Where Python itself fails, there is nothing to compare.
- *Tools*: the template describes tools to the model; *generic* where this is done in the system
  message instead.
- *Calls*: calls of functions that the template writes are read back, streamed or whole.
- *Thoughts*: thoughts are told from content.
- *Format*: how answers are written; `json`, `json-list`, `name-json` and `tags` are found by
  rendering messages, the others are known by name.

";

fn render(template: &Template, case: &Value) -> Option<String> {
    let mut variables: Map<String, Value> = case.as_object()?.clone();
    let prompt = variables.shift_remove("add_generation_prompt") == Some(Value::Bool(true));
    template.render_with(&[], prompt, &variables).ok()
}

fn row(name: &str, source: &str, cases: &Map<String, Value>, renderings: &Value) -> String {
    let template = Template::new(source, "<s>", "</s>").expect("valid").at_time(NOW);
    let expected: Vec<(&String, &str)> = renderings
        .as_object()
        .expect("renderings")
        .iter()
        .filter_map(|(case, result)| Some((case, result.get("ok")?.as_str()?)))
        .collect();
    let is_equal = |(case, text): &&(&String, &str)| {
        render(&template, &cases[case.as_str()]).as_deref() == Some(*text)
    };
    let equal = expected.iter().filter(is_equal).count();
    assert_eq!(equal, expected.len(), "{name} renders differently");
    let equal = match (equal, expected.len()) {
        (_, 0) => "Python fails".to_owned(),
        (n, _) => format!("yes ({n})"),
    };
    let chat = Chat::from_template(template);
    let tools = if chat.capabilities().tools { "yes" } else { "generic" };
    let message = calling(&chat);
    let (prompt, text) = written(&chat, &request(), &message).expect("a text");
    let is_read = calls_of(&prompt.parser.clone().parse(&text)) == calls_in(&message);
    let calls = if is_read { "yes" } else { "no" };
    let thoughts = if chat.has_reasoning() { "yes" } else { "–" };
    let format = chat.format_name();
    format!("| {name} | {equal} | {tools} | {calls} | {thoughts} | {format} |\n")
}

#[test]
fn the_page_of_templates_is_up_to_date() {
    let (cases, renderings) = (object("cases.json"), object("renderings.json.gz"));
    let mut page = INTRODUCTION.to_owned();
    page += "| Template | Equal | Tools | Calls | Thoughts | Format |\n";
    page += "| --- | --- | --- | --- | --- | --- |\n";
    for (name, source) in templates() {
        page += &row(&name, &source, &cases, &renderings[&name]);
    }
    page += "\nBuilt-in templates for models that bring none: ";
    let names: Vec<String> = chat::names().map(|name| format!("`{name}`")).collect();
    writeln!(page, "{}.", names.join(", ")).expect("memory");
    let message = Message::new("user", "Hi.");
    for name in chat::names() {
        let source = chat::named(name).expect("a known name");
        let template = Template::new(&source, "", "").expect("valid");
        assert!(template.render(std::slice::from_ref(&message), true).is_ok());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/templates.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&path).expect("the page");
    assert!(found == page, "docs/templates.md is out of date; see {}", file!());
}

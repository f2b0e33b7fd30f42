//! Published templates against what Python's jinja2 makes of them.

mod common;

use chat::{Error, Message, Template};
use common::{NOW, object, read, templates};
use serde_json::Value;

fn template(name: &str, bos: &str, eos: &str) -> Template {
    let source = &templates()[name];
    Template::new(source, bos, eos).expect("a valid template").at_time(NOW)
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
    let templates = templates();
    let (mut texts, mut refusals) = (0, 0);
    for (name, renderings) in object("renderings.json.gz") {
        let template = Template::new(&templates[&name], "<s>", "</s>");
        let template = template.expect("a valid template").at_time(NOW);
        for (case, expected) in renderings.as_object().expect("renderings by case") {
            let got = render(&template, &cases[case]);
            match expected.get("ok").and_then(Value::as_str) {
                Some(text) => {
                    assert_eq!(got.expect("a text"), text, "{name}, {case}");
                    texts += 1;
                }
                // Where Python fails, we may succeed.
                None => refusals += 1,
            }
        }
    }
    assert_eq!((texts, refusals), (625, 85));
}

#[test]
fn built_in_templates_render_as_in_llama_cpp() {
    let recorded = object("named.json.gz");
    let chats: Vec<Vec<Message>> =
        serde_json::from_value(recorded["chats"].clone()).expect("conversations");
    let prompts = recorded["prompts"].as_object().expect("prompts by name");
    assert_eq!(chat::names().count(), prompts.len());
    for (name, prompts) in prompts {
        let source = chat::named(name).expect("a known name");
        let template = Template::new(&source, "<s>", "</s>").expect("a valid template");
        let prompts = prompts.as_array().expect("prompts");
        assert_eq!(prompts.len(), 2 * chats.len());
        for (chat, prompts) in chats.iter().zip(prompts.chunks(2)) {
            for (add_generation_prompt, prompt) in [false, true].into_iter().zip(prompts) {
                let got = template.render(chat, add_generation_prompt).expect("a text");
                assert_eq!(got, prompt.as_str().expect("a text"), "{name}: {chat:?}");
            }
        }
    }
}

#[test]
fn smollm2_renders_as_in_llama_cpp() {
    let source = read("smollm2.jinja");
    let template = Template::new(&source, "<|im_start|>", "<|im_end|>").expect("a valid template");
    let chats: Vec<Value> = serde_json::from_str(&read("smollm2.json")).expect("a list");
    assert_eq!(chats.len(), 5);
    for chat in chats {
        let user = Message::new("user", chat["user"].as_str().expect("a text"));
        let got = template.render(&[user], true).expect("a text");
        assert_eq!(got, chat["rendered"].as_str().expect("a text"));
    }
}

#[test]
fn sums_are_those_of_python() {
    let render = |source: &str| Template::new(source, "", "").and_then(|t| t.render(&[], true));
    for (source, expected) in [
        (
            "{{ 'a' + '<' }} {{ 1 + 2 }} {{ 1.5 + 1 }} {{ ([1] + ['b']) | join('-') }}",
            "a< 3 2.5 1-b",
        ),
        (
            "{{ '<b>' | safe + '&<>\\'\"' }} {{ '<' + '<b>' | safe }}",
            "<b>&amp;&lt;&gt;&#39;&#34; &lt;<b>",
        ),
        (
            "{% set x = 'a' | safe %}{% set x = x + '<' %}{{ x + '<' }} {{ x ~ '<' }}",
            "a&lt;&lt; a&lt;<",
        ),
        ("{{ 'a' | safe + 'b' | safe }}", "ab"),
    ] {
        assert_eq!(render(source).expect("a text"), expected, "{source}");
    }
    for source in ["{{ 'a' + nothing }}", "{{ 'a' + 1 }}", "{{ 1 + 'a' }}", "{{ nothing + 'a' }}"] {
        assert!(matches!(render(source), Err(Error::Render(_))), "{source}");
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
    for greedy in [
        "{{ 'x' * 1000000000 }}",
        "{{ [1, 2] * 100000000 }}",
        "{% set ns = namespace(x='abcdefgh') %}\
         {% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x='abcdefgh') %}\
         {% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}\
         {% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
        "{% set ns = namespace(x={}) %}\
         {% for i in range(99) %}{% set ns.x = {'a': ns.x, 'b': ns.x} %}{% endfor %}{{ ns.x }}",
        "{% macro f(x, n) %}{% if n %}{{ f(x ~ x, n - 1) }}{% endif %}{% endmacro %}{{ f('abc', 99) }}",
        "{% set a = 'a' * 1000000 %}{{ a | replace('a', a) }}",
        "{% set a = 'a' * 1000000 %}{{ a.replace('a', a) }}",
        "{% set a = 'a' * 1000000 %}{{ ([a] * 100000) | join }}",
        "{% set a = 'a' * 1000000 %}{{ a.join(['b'] * 100000) }}",
        "{{ ('\\n' * 1000000) | indent(1000000) }}",
    ] {
        let result = render(greedy).map(|text| text.len());
        assert!(matches!(result, Err(Error::TooLarge)), "{greedy}: {result:?}");
    }
    let text = "x".repeat(100_000);
    let loud = format!("{{% for i in range(99999) %}}{text}{{% endfor %}}");
    assert!(matches!(render(&loud), Err(Error::TooLarge)));
    for broken in ["{% if %}".to_owned(), "{% if 1 %}".repeat(10_000), "((".repeat(10_000)] {
        let source = format!("{{{{ {broken}");
        assert!(matches!(render(&source), Err(Error::Parse(_))));
    }
}

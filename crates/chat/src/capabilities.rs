use serde_json::{Value, json};

use crate::{Template, adapt};

/// What a template can take, found by rendering messages with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Content may be text.
    pub text_content: bool,
    /// Content may be parts with a type.
    pub typed_content: bool,
    /// Messages may have the role `system`.
    pub system_role: bool,
    /// Messages may have the role `tool`.
    pub tool_role: bool,
    /// Tools are described to the model.
    pub tools: bool,
    /// Calls in messages are written.
    pub tool_calls: bool,
    /// Several calls in one message are written.
    pub parallel_tool_calls: bool,
    /// Calls are only written in messages whose content is null.
    pub null_content: bool,
    /// The arguments of calls must be objects rather than text.
    pub object_arguments: bool,
    /// Thoughts of the last answer are written.
    pub reasoning: bool,
    /// Thoughts of earlier answers can be kept.
    pub preserve_reasoning: bool,
    /// `enable_thinking` makes a difference.
    pub thinking_switch: bool,
    /// `reasoning_effort` makes a difference.
    pub reasoning_effort: bool,
}

// Texts that no template has.
const TEXT: &str = "Xq7textZ";
const OTHER: &str = "Yq8otherZ";
const NAMES: [&str; 2] = ["fnq9one", "fnq9two"];
const KEY: &str = "keyq5";
const ID: &str = "callabc00";

impl Capabilities {
    pub(crate) fn probe(template: &Template) -> Self {
        let mut probe = Probe { template, found: Self::default() };
        probe.content();
        probe.calls();
        probe.thoughts();
        probe.found
    }
}

struct Probe<'a> {
    template: &'a Template,
    found: Capabilities,
}

impl Probe<'_> {
    fn render(&self, messages: Value, variables: Value) -> String {
        let Value::Object(mut variables) = variables else { return String::new() };
        adapt::add_variables(self.template, &mut variables);
        variables.insert("messages".into(), messages);
        self.template.render_with(&[], false, &variables).unwrap_or_default()
    }

    fn text(&self, text: &str) -> Value {
        match self.found.text_content {
            true => text.into(),
            false => json!([{ "type": "text", "text": text }]),
        }
    }

    fn user(&self) -> Value {
        json!({ "role": "user", "content": self.text("Hi.") })
    }

    fn content(&mut self) {
        let as_text = json!([{ "role": "user", "content": TEXT }]);
        let as_parts = json!([{ "role": "user", "content": [{ "type": "text", "text": TEXT }] }]);
        let typed = self.render(as_parts, json!({}));
        // The list itself may have been written.
        let is_list = typed.contains("text': ") || typed.contains("text\": ");
        self.found.typed_content = typed.contains(TEXT) && !is_list;
        let is_text = self.render(as_text, json!({})).contains(TEXT);
        self.found.text_content = is_text || !self.found.typed_content;
        let system = json!([{ "role": "system", "content": self.text(TEXT) }, self.user()]);
        self.found.system_role = self.render(system, json!({})).contains(TEXT);
    }

    fn calls(&mut self) {
        let tools = json!({ "tools": [tool(NAMES[0]), tool(NAMES[1])] });
        self.found.tools = self.render(json!([self.user()]), tools.clone()).contains(NAMES[0]);
        // Without tools, names can only come from calls; but some templates need them.
        let written = |content: &str, arguments: &Value, names: &[&str]| {
            let content = if content.is_empty() { Value::Null } else { self.text(content.trim()) };
            let calls = calls(arguments, names);
            let calls = json!({ "role": "assistant", "content": content, "tool_calls": calls });
            let plain = self.render(json!([self.user(), calls]), json!({}));
            match plain.contains(TEXT) {
                true => plain,
                false => self.render(json!([self.user(), calls]), tools.clone()),
            }
        };
        let object = json!({ KEY: TEXT });
        let text = json!(object.to_string());
        let is_written = |content: &str, arguments: &Value| {
            let text = written(content, arguments, &NAMES[..1]);
            // Python's way to write an object is none of JSON.
            let is_json = !arguments.is_object() || !text.contains(&format!("'{KEY}'"));
            text.contains(NAMES[0]) && text.contains(TEXT) && is_json
        };
        let (empty, null) = (" ", "");
        let [empty_object, empty_text, null_object, null_text] =
            [(empty, &object), (empty, &text), (null, &object), (null, &text)]
                .map(|(content, arguments)| is_written(content, arguments));
        let mut found = self.found;
        found.tool_calls = empty_object || empty_text || null_object || null_text;
        found.null_content = !empty_object && !empty_text && found.tool_calls;
        found.object_arguments =
            if found.null_content { null_object } else { empty_object || !empty_text };
        let arguments = if found.object_arguments { &object } else { &text };
        let content = if found.null_content { null } else { empty };
        found.parallel_tool_calls = written(content, arguments, &NAMES).matches(TEXT).count() == 2;
        let call = json!({
            "role": "assistant", "content": "", "tool_calls": calls(arguments, &NAMES[..1]),
        });
        let answer = json!({
            "role": "tool", "tool_call_id": ID, "name": NAMES[0], "content": self.text(OTHER),
        });
        let answered = self.render(json!([self.user(), call, answer]), tools.clone());
        found.tool_role = answered.contains(OTHER);
        self.found = found;
    }

    fn thoughts(&mut self) {
        let user = self.user();
        let thought = |text: &str| {
            json!({
                "role": "assistant", "content": self.text("Hi."),
                "reasoning_content": text, "thinking": text, "reasoning": text,
            })
        };
        let last = json!([user, thought(TEXT)]);
        let reasoning = self.render(last, json!({ "enable_thinking": true })).contains(TEXT);
        let earlier = json!([user, thought(TEXT), user, thought(OTHER), user]);
        let keep = json!({
            "enable_thinking": true, "preserve_thinking": true, "clear_thinking": false,
            "truncate_history_thinking": false, "drop_thinking": false,
        });
        let preserve_reasoning = self.render(earlier, keep).contains(TEXT);
        let differs = |key: &str, values: [Value; 2]| {
            let [a, b] = values.map(|value| {
                let variables = json!({ key: value, "add_generation_prompt": true });
                self.render(json!([user]), variables)
            });
            !a.is_empty() && !b.is_empty() && a != b
        };
        self.found = Capabilities {
            reasoning,
            preserve_reasoning,
            thinking_switch: differs("enable_thinking", [json!(true), json!(false)]),
            reasoning_effort: differs("reasoning_effort", [json!("low"), json!("high")]),
            ..self.found
        };
    }
}

fn tool(name: &str) -> Value {
    json!({ "type": "function", "function": {
        "name": name,
        "description": "A function.",
        "parameters": {
            "type": "object",
            "properties": { KEY: { "type": "string", "description": "A text." } },
            "required": [KEY],
        },
    } })
}

fn calls(arguments: &Value, names: &[&str]) -> Value {
    let call = |(i, name): (usize, &&str)| {
        let id = format!("{}{i}", &ID[..8]);
        let function = json!({ "name": name, "arguments": arguments });
        json!({ "id": id, "type": "function", "function": function })
    };
    names.iter().enumerate().map(call).collect()
}

use serde_json::{Value, json};

use crate::Template;

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
const NAME: &str = "fnq9one";
const NAMES: [&str; 2] = [NAME, "fnq9two"];
const KEY: &str = "keyq5";
const ID: &str = "callabc01";

impl Capabilities {
    pub(crate) fn probe(template: &Template) -> Self {
        let mut found = Self::default();
        let user = json!({ "role": "user", "content": "Hi." });
        let has = |messages: Value, variables: Value, needles: &[&str]| {
            let text = render(template, messages, variables).unwrap_or_default();
            needles.iter().all(|needle| text.contains(needle))
        };
        let parts = json!([{ "type": "text", "text": TEXT }]);
        found.text_content = has(json!([{ "role": "user", "content": TEXT }]), json!({}), &[TEXT]);
        let typed = json!([{ "role": "user", "content": parts }]);
        let typed = render(template, typed, json!({})).unwrap_or_default();
        // The list itself may have been written.
        found.typed_content =
            typed.contains(TEXT) && !typed.contains("text': ") && !typed.contains("text\": ");
        if !found.text_content && !found.typed_content {
            found.text_content = true;
        }
        let content = |text: &str| match found.text_content {
            true => json!(text),
            false => json!([{ "type": "text", "text": text }]),
        };
        let user_says = |text: &str| json!({ "role": "user", "content": content(text) });
        let system = json!({ "role": "system", "content": content(TEXT) });
        found.system_role = has(json!([system, user_says("Hi.")]), json!({}), &[TEXT]);

        let tools = json!({ "tools": [tool(NAMES[0]), tool(NAMES[1])] });
        found.tools = has(json!([user_says("Hi.")]), tools.clone(), &[NAME]);
        let asks = user_says("Hi.");
        let object = json!({ KEY: TEXT });
        let calls = |arguments: &Value, names: &[&str]| json!([asks, { "role": "assistant", "content": "", "tool_calls": calls(arguments, names) }]);
        // Tools might be listed: without them, a name can only come from the call.
        let with_object = render_either(template, calls(&object, &[NAME]), &tools);
        let as_object = with_object.as_ref().is_some_and(|text| {
            text.contains(NAME) && text.contains(TEXT) && !text.contains(&format!("'{KEY}'"))
        });
        let text = json!(object.to_string());
        let with_text = render_either(template, calls(&text, &[NAME]), &tools);
        let as_text = with_text.as_ref().is_some_and(|t| t.contains(NAME) && t.contains(TEXT));
        found.object_arguments = as_object || !as_text;
        found.tool_calls = as_object || as_text;
        let arguments = if found.object_arguments { &object } else { &text };
        if found.tool_calls {
            let two = render_either(template, calls(arguments, &NAMES), &tools);
            found.parallel_tool_calls = two.is_some_and(|text| text.matches(TEXT).count() == 2);
            let mut answered = calls(arguments, &[NAME]);
            if let Some(messages) = answered.as_array_mut() {
                messages.push(json!({
                    "role": "tool", "tool_call_id": ID, "name": NAME, "content": content(OTHER),
                }));
            }
            found.tool_role =
                render_either(template, answered, &tools).is_some_and(|t| t.contains(OTHER));
        }

        let thought = |text: &str| {
            json!({
                "role": "assistant", "content": content("Hi."),
                "reasoning_content": text, "thinking": text, "reasoning": text,
            })
        };
        let last = json!([user, thought(TEXT)]);
        found.reasoning = has(last, json!({ "enable_thinking": true }), &[TEXT]);
        let earlier = json!([asks, thought(TEXT), asks, thought(OTHER), asks]);
        let preserving = json!({
            "enable_thinking": true, "preserve_thinking": true, "clear_thinking": false,
            "truncate_history_thinking": false, "drop_thinking": false,
        });
        found.preserve_reasoning = has(earlier, preserving, &[TEXT]);
        let differs = |key: &str, values: [Value; 2]| {
            let [a, b] = values.map(|value| {
                render(
                    template,
                    json!([asks]),
                    json!({ key: value, "add_generation_prompt": true }),
                )
            });
            a.is_some() && b.is_some() && a != b
        };
        found.thinking_switch = differs("enable_thinking", [json!(true), json!(false)]);
        found.reasoning_effort = differs("reasoning_effort", [json!("low"), json!("high")]);
        found
    }
}

fn render(template: &Template, messages: Value, variables: Value) -> Option<String> {
    let Value::Object(mut variables) = variables else { return None };
    variables.insert("messages".into(), messages);
    template.render_with(&[], false, &variables).ok()
}

/// Renders without tools, or with them where they must be there.
fn render_either(template: &Template, messages: Value, tools: &Value) -> Option<String> {
    let plain = render(template, messages.clone(), json!({}));
    plain.filter(|text| text.contains(TEXT)).or_else(|| render(template, messages, tools.clone()))
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
        json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } })
    };
    names.iter().enumerate().map(call).collect()
}

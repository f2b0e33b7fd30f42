//! Calls for templates that know nothing of tools: described in the system message, written as
//! Hermes models do.

use serde_json::{Map, Value, json};

use crate::Capabilities;
use crate::format::{Calls, Object, Shape};

const INTRODUCTION: &str = "You may call functions. They are described here in JSON:\n";
const INSTRUCTION: &str = "\nTo call a function, answer in this form:\n";

/// What the format is called.
pub(crate) const NAME: &str = "generic";

/// How calls are written.
pub(crate) fn calls() -> Calls {
    Calls {
        call_open: "<tool_call>\n".into(),
        call_close: "\n</tool_call>".into(),
        shape: Shape::default(),
        ..Calls::default()
    }
}

/// Describes tools in the first message.
pub(crate) fn describe(
    tools: &Value,
    calls: &Calls,
    messages: &mut Vec<Value>,
    capabilities: &Capabilities,
) {
    let mut text = INTRODUCTION.to_owned();
    for tool in tools.as_array().into_iter().flatten() {
        text += &format!("{}\n", tool.get("function").unwrap_or(tool));
    }
    let example = json!({ "name": "the function", "arguments": { "an argument": "its value" } });
    text += INSTRUCTION;
    text += &calls.write(&[&example]);
    let role = if capabilities.system_role { "system" } else { "user" };
    match messages.first_mut().filter(|first| first["role"] == role) {
        Some(first) => match &mut first["content"] {
            Value::String(old) => {
                *old = if role == "system" {
                    format!("{old}\n\n{text}")
                } else {
                    format!("{text}\n\n{old}")
                }
            }
            Value::Array(parts) => parts.insert(0, json!({ "type": "text", "text": text })),
            other => *other = text.into(),
        },
        None if capabilities.text_content => {
            messages.insert(0, json!({ "role": role, "content": text }))
        }
        None => messages
            .insert(0, json!({ "role": role, "content": [{ "type": "text", "text": text }] })),
    }
}

/// Writes calls into the content, and results into messages of the user where the template has no
/// role for them.
pub(crate) fn write_calls(messages: &mut [Value], calls: &Calls, capabilities: &Capabilities) {
    for message in messages.iter_mut().filter_map(Value::as_object_mut) {
        if let Some(Value::Array(list)) = message.shift_remove("tool_calls")
            && !list.is_empty()
        {
            let functions: Vec<&Value> = list.iter().filter_map(|c| c.get("function")).collect();
            append(message, &calls.write(&functions));
        }
        if !capabilities.tool_role && message.get("role").is_some_and(|role| role == "tool") {
            message.insert("role".into(), "user".into());
            let content = message.shift_remove("content").unwrap_or_default();
            message.insert("content".into(), "".into());
            let content = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
            append(message, &format!("<tool_response>\n{content}\n</tool_response>"));
        }
    }
}

impl Calls {
    /// Calls as the model would write them; objects where their form has no simple one.
    fn write(&self, functions: &[&Value]) -> String {
        let arguments = |function: &Value| match &function["arguments"] {
            Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
            other => other.clone(),
        };
        let call = |function: &&Value| {
            let name = function["name"].as_str().unwrap_or_default();
            let arguments = arguments(function);
            match &self.shape {
                Shape::Object(Object { name: key, .. }) if key.is_empty() => {
                    json!({ name: arguments }).to_string()
                }
                Shape::Object(object) => {
                    json!({ &*object.name: name, &*object.arguments: arguments }).to_string()
                }
                Shape::Named(named) => {
                    format!("{name}{}{arguments}{}", named.between, named.args_close)
                }
                Shape::Pythonic => {
                    let members = arguments.as_object().into_iter().flatten();
                    let members: Vec<String> = members.map(|(k, v)| format!("{k}={v}")).collect();
                    format!("{name}({})", members.join(", "))
                }
            }
        };
        let written: Vec<String> = functions.iter().map(call).collect();
        match &self.shape {
            Shape::Object(Object { list: false, .. }) | Shape::Named(_) => {
                let each = |call: &String| format!("{}{call}{}", self.call_open, self.call_close);
                let all: Vec<String> = written.iter().map(each).collect();
                format!("{}{}{}", self.open, all.join("\n"), self.close)
            }
            _ => format!("{}[{}]{}", self.open, written.join(", "), self.close),
        }
    }
}

fn append(message: &mut Map<String, Value>, text: &str) {
    match message.get_mut("content") {
        Some(Value::String(content)) if !content.is_empty() => *content += &format!("\n{text}"),
        Some(Value::Array(parts)) => parts.push(json!({ "type": "text", "text": text })),
        _ => {
            message.insert("content".into(), text.into());
        }
    }
}

//! Calls for templates that know nothing of tools: described in the system message, written as
//! Hermes models do.

use serde_json::{Map, Value, json};

use crate::Capabilities;
use crate::format::{Calls, Shape};

const INTRODUCTION: &str = "You may call functions. They are described here in JSON:\n";
const INSTRUCTION: &str = "\nTo call a function, answer with its name and arguments in these tags:\n\
    <tool_call>\n{\"name\": \"the function\", \"arguments\": {\"an argument\": \"its value\"}}\n</tool_call>";

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
pub(crate) fn describe(tools: &Value, messages: &mut Vec<Value>, capabilities: &Capabilities) {
    let mut text = INTRODUCTION.to_owned();
    for tool in tools.as_array().into_iter().flatten() {
        text += &format!("{}\n", tool.get("function").unwrap_or(tool));
    }
    text += INSTRUCTION;
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

/// Writes calls into the content, and results into messages of the user.
pub(crate) fn write_calls(messages: &mut [Value]) {
    for message in messages.iter_mut().filter_map(Value::as_object_mut) {
        let calls = message.shift_remove("tool_calls");
        for call in calls.as_ref().and_then(Value::as_array).into_iter().flatten() {
            let Some(function) = call.get("function") else { continue };
            let arguments = match &function["arguments"] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let name = &function["name"];
            let text = format!(
                "<tool_call>\n{{\"name\": {name}, \"arguments\": {arguments}}}\n</tool_call>"
            );
            append(message, &text);
        }
        if message.get("role").is_some_and(|role| role == "tool") {
            message.insert("role".into(), "user".into());
            let content = message.shift_remove("content").unwrap_or_default();
            message.insert("content".into(), "".into());
            let content = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
            append(message, &format!("<tool_response>\n{content}\n</tool_response>"));
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

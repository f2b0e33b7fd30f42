//! Items of a conversation, and the messages that they make.

use chat::{Content, FunctionCall, Message, ToolCall};
use serde::Deserialize;
use serde_json::Value;

use crate::error::ApiError;
use crate::turn::unreadable;

/// An item; a message may leave out its type.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Item {
    Message {
        role: String,
        content: Value,
    },
    FunctionCall {
        call_id: String,
        name: String,
        arguments: String,
    },
    FunctionCallOutput {
        call_id: String,
        output: Value,
    },
    Reasoning {
        #[serde(default)]
        content: Value,
        #[serde(default)]
        summary: Value,
    },
}

/// The messages of instructions and input.
///
/// # Errors
/// What is not well-formed, and content that models here can't read.
pub fn messages(instructions: Option<&str>, input: &Value) -> Result<Vec<Message>, ApiError> {
    let mut messages = Vec::new();
    if let Some(instructions) = instructions {
        messages.push(Message::new("system", instructions));
    }
    match input {
        Value::String(text) => messages.push(Message::new("user", text.as_str())),
        Value::Array(items) if !items.is_empty() => {
            for (i, value) in items.iter().enumerate() {
                add(&mut messages, item(value, i)?, i)?;
            }
        }
        _ => {
            let message = "'input' must be text or a list of at least one item";
            return Err(ApiError::invalid(message).with("param", "input"));
        }
    }
    Ok(messages)
}

fn refuse(i: usize, reason: &str) -> ApiError {
    let name = format!("input[{i}]");
    ApiError::invalid(format!("'{name}' {reason}")).with("param", name)
}

fn item(value: &Value, i: usize) -> Result<Item, ApiError> {
    let mut value = value.clone();
    if let Value::Object(fields) = &mut value {
        fields.entry("type").or_insert_with(|| "message".into());
    }
    Item::deserialize(value).map_err(|error| refuse(i, &format!("is not valid: {error}")))
}

fn add(messages: &mut Vec<Message>, item: Item, i: usize) -> Result<(), ApiError> {
    match item {
        Item::Message { role, content } => {
            let text = text_of(&content, i)?;
            match role.as_str() {
                "assistant" => {
                    let message = answer(messages, |last| {
                        last.content == Content::Null && last.tool_calls.is_none()
                    });
                    message.content = Content::Text(text);
                }
                "system" | "developer" => add_system(messages, text),
                "user" => messages.push(Message::new("user", text)),
                _ => {
                    let roles = "'user', 'assistant', 'system' or 'developer'";
                    return Err(refuse(i, &format!("must have a role of {roles}")));
                }
            }
        }
        Item::Reasoning { content, summary } => {
            let thoughts = match text_of(&content, i)? {
                text if text.is_empty() => text_of(&summary, i)?,
                text => text,
            };
            if !thoughts.is_empty() {
                let message = answer(messages, |_| false);
                message.reasoning_content = Some(thoughts);
            }
        }
        Item::FunctionCall { call_id, name, arguments } => {
            let call = ToolCall {
                id: Some(call_id),
                kind: "function".into(),
                function: FunctionCall { name, arguments: arguments.into() },
                ..ToolCall::default()
            };
            answer(messages, |_| true).tool_calls.get_or_insert_default().push(call);
        }
        Item::FunctionCallOutput { call_id, output } => {
            let text = text_of(&output, i)?;
            messages.push(Message { tool_call_id: Some(call_id), ..Message::new("tool", text) });
        }
    }
    Ok(())
}

/// The assistant's message that an item is part of: the last one, where that is the assistant's and
/// has room for it, else a new one.
fn answer(messages: &mut Vec<Message>, has_room: impl Fn(&Message) -> bool) -> &mut Message {
    let goes_on = messages.last().is_some_and(|last| last.role == "assistant" && has_room(last));
    if !goes_on {
        messages.push(Message { role: "assistant".into(), ..Message::default() });
    }
    let last = messages.len() - 1;
    &mut messages[last]
}

/// Most templates take one system message, at the beginning.
fn add_system(messages: &mut Vec<Message>, text: String) {
    match messages.as_mut_slice() {
        [first] if first.role == "system" => {
            first.content = Content::Text(format!("{}\n\n{text}", first.content.to_text()));
        }
        _ => messages.push(Message::new("system", text)),
    }
}

/// Text, or the texts of parts, a line each; nothing for null.
fn text_of(content: &Value, i: usize) -> Result<String, ApiError> {
    let parts = match content {
        Value::Null => return Ok(String::new()),
        Value::String(text) => return Ok(text.clone()),
        Value::Array(parts) => parts,
        _ => return Err(refuse(i, "must have text or a list of parts as content")),
    };
    let text = |part: &Value| {
        let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
        let text = |name: &str| part.get(name).and_then(Value::as_str).map(str::to_owned);
        match kind {
            "input_image" | "input_file" | "input_audio" => Err(unreadable(kind)),
            "refusal" => Ok(text("refusal").unwrap_or_default()),
            _ => text("text").ok_or_else(|| refuse(i, &format!("has a part '{kind}' of no text"))),
        }
    };
    let texts: Vec<String> = parts.iter().map(text).collect::<Result<_, _>>()?;
    Ok(texts.join("\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn items_become_messages() {
        let input = json!([
            { "role": "developer", "content": "B" },
            { "role": "user", "content": [{ "type": "input_text", "text": "hi" }] },
            { "type": "reasoning", "id": "r", "summary": [], "content": [
                { "type": "reasoning_text", "text": "hm" },
            ] },
            { "type": "message", "role": "assistant", "content": [
                { "type": "output_text", "text": "look", "annotations": [] },
            ] },
            { "type": "function_call", "call_id": "1", "name": "f", "arguments": "{}" },
            { "type": "function_call", "call_id": "2", "name": "g", "arguments": "{}" },
            { "type": "function_call_output", "call_id": "1", "output": "x" },
            { "type": "function_call_output", "call_id": "2", "output": "y" },
            { "type": "message", "role": "assistant", "content": "done" },
        ]);
        let messages = messages(Some("A"), &input).expect("messages");
        let roles: Vec<&str> = messages.iter().map(|message| message.role.as_str()).collect();
        assert_eq!(roles, ["system", "user", "assistant", "tool", "tool", "assistant"]);
        assert_eq!(messages[0].content.to_text(), "A\n\nB");
        assert_eq!(messages[2].reasoning_content.as_deref(), Some("hm"));
        assert_eq!(messages[2].content.to_text(), "look");
        assert_eq!(messages[2].tool_calls.as_ref().map(Vec::len), Some(2));
        assert_eq!(messages[4].tool_call_id.as_deref(), Some("2"));
    }

    #[test]
    fn other_items_are_refused() {
        for input in [
            json!([]),
            json!(3),
            json!([{ "type": "item_reference", "id": "x" }]),
            json!([{ "role": "user" }]),
            json!([{ "role": "judge", "content": "x" }]),
            json!([{ "role": "user", "content": [{ "type": "input_image" }] }]),
            json!([7]),
        ] {
            assert!(messages(None, &input).is_err(), "{input}");
        }
    }
}

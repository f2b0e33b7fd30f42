//! Messages as a template can take them.

use serde_json::{Map, Value, json};

use crate::{Capabilities, Message, Template};

/// The messages as the template's variable, changed where the template could not take them.
pub(crate) fn messages(
    messages: &[Message],
    template: &Template,
    capabilities: &Capabilities,
) -> Vec<Value> {
    let source = template.source();
    let mut adapted: Vec<Map<String, Value>> = messages.iter().filter_map(to_map).collect();
    for message in &mut adapted {
        if message["role"] == "developer" && !source.contains("<|channel|>") {
            message["role"] = "system".into();
        }
        arguments(message, capabilities.object_arguments);
        thoughts(message, source);
        let content = &mut message["content"];
        // StepFun's model repeats itself after stray white space.
        if source.contains("You have access to the following functions in JSONSchema format") {
            trim(content);
        }
        match content {
            Value::Null if !capabilities.null_content => *content = "".into(),
            Value::String(text) if capabilities.null_content && text.is_empty() => {
                *content = Value::Null;
            }
            Value::Array(parts) if !capabilities.typed_content => *content = joined(parts).into(),
            Value::String(text) if !capabilities.text_content => {
                *content = json!([{ "type": "text", "text": text }]);
            }
            _ => {}
        }
    }
    if !capabilities.system_role {
        merge_system(&mut adapted);
    }
    if source.contains("thinking")
        && source.contains("[SYSTEM_PROMPT]")
        && source.contains("[ARGS]")
        && !source.contains("[CALL_ID]")
    {
        adapted.iter_mut().for_each(ministral_blocks);
    }
    if source.contains("'<|tool_call>call:'") && !source.contains("{#- OpenAI Chat Completions:") {
        adapted = gemma_responses(adapted);
    }
    if source.contains("dsml_token") && !source.contains("function_calls") {
        sort_results(&mut adapted);
    }
    adapted.into_iter().map(Value::Object).collect()
}

/// Adds variables that some templates need besides the usual ones.
pub(crate) fn add_variables(template: &Template, variables: &mut Map<String, Value>) {
    for (name, format) in [("date_string", "%d %b %Y"), ("datetime", "%b %d %Y")] {
        variables.entry(name).or_insert_with(|| template.now(format).into());
    }
    let tools = variables.get("tools").cloned();
    if template.source().contains("xml_tools") {
        variables.entry("xml_tools").or_insert_with(|| tools.clone().unwrap_or_default());
    }
    // Firefunction's template takes the tools as text.
    if template.source().contains("functions") {
        let text = tools.map_or_else(String::new, |tools| format!("{tools:#}"));
        variables.entry("functions").or_insert_with(|| text.into());
    }
}

fn to_map(message: &Message) -> Option<Map<String, Value>> {
    match serde_json::to_value(message) {
        Ok(Value::Object(map)) => Some(map),
        // A message is an object with text keys: this does not happen.
        _ => None,
    }
}

/// Makes the arguments of calls objects, or text.
fn arguments(message: &mut Map<String, Value>, objects: bool) {
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
    for call in calls.into_iter().flatten() {
        let Some(arguments) = call.pointer_mut("/function/arguments") else { continue };
        match arguments {
            Value::String(text) if objects => {
                if let Ok(value) = serde_json::from_str(text) {
                    *arguments = value;
                }
            }
            Value::String(_) => {}
            other if !objects => *other = other.to_string().into(),
            _ => {}
        }
    }
}

/// Gives thoughts under the name that the template looks for.
fn thoughts(message: &mut Map<String, Value>, source: &str) {
    let Some(thoughts) = message.get("reasoning_content").cloned() else { return };
    for name in ["thinking", "reasoning"] {
        let is_used = [".NAME", "['NAME']", "[\"NAME\"]", "get('NAME'", "get(\"NAME\""]
            .iter()
            .any(|access| source.contains(&access.replace("NAME", name)));
        if is_used && !message.contains_key(name) {
            message.insert(name.to_owned(), thoughts.clone());
        }
    }
    // gpt-oss takes either thoughts or content beside calls.
    if source.contains("<|channel|>") && has_calls(message) {
        message.insert("content".into(), Value::Null);
    }
}

fn has_calls(message: &Map<String, Value>) -> bool {
    message.get("tool_calls").and_then(Value::as_array).is_some_and(|calls| !calls.is_empty())
}

fn trim(content: &mut Value) {
    match content {
        Value::String(text) => *text = text.trim().to_owned(),
        Value::Array(parts) => {
            parts.iter_mut().filter_map(|part| part.get_mut("text")).for_each(trim);
        }
        _ => {}
    }
}

/// The texts of parts, a line each.
fn joined(parts: &[Value]) -> String {
    let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
    texts.join("\n")
}

fn text_of(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => joined(parts),
        _ => String::new(),
    }
}

/// Puts a system message before the text of the next one.
fn merge_system(messages: &mut Vec<Map<String, Value>>) {
    if messages.first().is_none_or(|message| message["role"] != "system") {
        return;
    }
    let system = messages.remove(0);
    let Some(next) = messages.first_mut() else { return };
    let system = text_of(system.get("content"));
    match next.get_mut("content") {
        Some(Value::Array(parts)) => parts.insert(0, json!({ "type": "text", "text": system })),
        content => {
            let text = format!("{system}\n{}", text_of(content.as_deref()));
            next.insert("content".into(), text.into());
        }
    }
}

/// Ministral 3 takes thoughts as a part of the content.
fn ministral_blocks(message: &mut Map<String, Value>) {
    if message["role"] != "system" && message["role"] != "assistant" {
        return;
    }
    let Some(thoughts) = message.shift_remove("reasoning_content") else { return };
    let mut blocks = vec![json!({ "type": "thinking", "thinking": thoughts })];
    match message.shift_remove("content") {
        Some(Value::String(text)) if !text.is_empty() => {
            blocks.push(json!({ "type": "text", "text": text }))
        }
        Some(Value::Array(parts)) => blocks.extend(parts),
        _ => {}
    }
    message.insert("content".into(), blocks.into());
}

/// The first templates of Gemma 4 take results as a field of the message that calls, and that
/// message as one with the answer.
fn gemma_responses(messages: Vec<Map<String, Value>>) -> Vec<Map<String, Value>> {
    let mut adapted: Vec<Map<String, Value>> = Vec::new();
    for mut message in messages {
        let Some(last) = adapted.last_mut().filter(|last| has_calls(last)) else {
            adapted.push(message);
            continue;
        };
        if message["role"] == "tool" {
            let content = message.shift_remove("content").unwrap_or_default();
            let response = match &content {
                Value::String(text) => serde_json::from_str(text).unwrap_or(content),
                _ => content,
            };
            let n = last.get("tool_responses").and_then(Value::as_array).map_or(0, Vec::len);
            let name = last["tool_calls"].get(n).and_then(|call| call.pointer("/function/name"));
            let name = name.or_else(|| message.get("tool_call_id")).cloned().unwrap_or_default();
            let responses = last.entry("tool_responses").or_insert_with(|| json!([]));
            if let Value::Array(responses) = responses {
                responses.push(json!({ "name": name, "response": response }));
            }
        } else if message["role"] == "assistant"
            && !has_calls(&message)
            && last.contains_key("tool_responses")
            && text_of(last.get("content")).is_empty()
            && message.get("content").is_some_and(|c| !text_of(Some(c)).is_empty())
        {
            last.insert("content".into(), message.shift_remove("content").unwrap_or_default());
        } else {
            adapted.push(message);
        }
    }
    adapted
}

/// DeepSeek V4 has the results of calls in the order of the calls.
fn sort_results(messages: &mut [Map<String, Value>]) {
    let mut order: Vec<Value> = Vec::new();
    let mut start = 0;
    while start < messages.len() {
        if has_calls(&messages[start]) {
            let calls = messages[start]["tool_calls"].as_array().cloned().unwrap_or_default();
            order = calls.into_iter().filter_map(|call| call.get("id").cloned()).collect();
        }
        let is_tool = |message: &Map<String, Value>| message["role"] == "tool";
        let length = messages[start..].iter().take_while(|message| is_tool(message)).count();
        messages[start..start + length].sort_by_key(|message| {
            let id = message.get("tool_call_id");
            order.iter().position(|other| Some(other) == id).unwrap_or(0)
        });
        start += length.max(1);
    }
}

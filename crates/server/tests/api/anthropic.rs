//! The API of Anthropic.

use serde_json::{Value, json};

use crate::support::{N_CTX, SERVER, user};

fn body(fields: Value) -> Value {
    let mut body = json!({ "model": "m", "max_tokens": 4, "messages": user("hi") });
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("fields").clone());
    body
}

#[test]
fn messages_are_answered() {
    let system = json!([{ "type": "text", "text": "be brief" }]);
    let message = SERVER.post("/v1/messages", &body(json!({ "system": system }))).json();
    assert_eq!(message["type"], "message");
    assert_eq!(message["role"], "assistant");
    assert_eq!(message["content"][0]["type"], "text");
    assert_eq!(message["stop_reason"], "max_tokens");
    assert_eq!(message["usage"]["output_tokens"], 4);
    assert!(message["usage"]["input_tokens"].as_u64() > Some(0));
    let text = message["content"][0]["text"].as_str().expect("text");
    let stop = text.chars().nth(1).expect("characters").to_string();
    let stopped = body(json!({ "system": system, "stop_sequences": [stop] }));
    let stopped = SERVER.post("/v1/messages", &stopped).json();
    assert_eq!(stopped["stop_reason"], "stop_sequence");
    assert_eq!(stopped["stop_sequence"], stop);
}

#[test]
fn events_make_the_message() {
    let events = SERVER.post("/v1/messages", &body(json!({ "stream": true }))).events();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..4], ["message_start", "ping", "content_block_start", "content_block_delta"]);
    assert_eq!(names[names.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    assert!(events.iter().all(|(name, event)| event["type"] == name.as_str()));
    let text: String =
        events.iter().filter_map(|(_, event)| event["delta"]["text"].as_str()).collect();
    let whole = SERVER.post("/v1/messages", &body(json!({}))).json();
    assert_eq!(whole["content"][0]["text"], text);
    let end = &events[events.len() - 2].1;
    assert_eq!(end["delta"]["stop_reason"], "max_tokens");
    assert_eq!(end["usage"]["output_tokens"], 4);
    assert!(events[0].1["message"]["usage"]["input_tokens"].is_number());
}

#[test]
fn conversations_with_tools_are_understood() {
    let messages = json!([
        { "role": "user", "content": "weather?" },
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "a tool", "signature": "" },
            { "type": "text", "text": "Let me see." },
            { "type": "tool_use", "id": "toolu_1", "name": "weather", "input": { "city": "Bern" } },
        ] },
        { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "toolu_1", "content": [
                { "type": "text", "text": "sunny" },
            ] },
            { "type": "text", "text": "so?" },
        ] },
    ]);
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let tools = json!([{ "name": "weather", "description": "w", "input_schema": schema }]);
    let fields = json!({ "messages": messages, "tools": tools, "tool_choice": { "type": "auto" } });
    let count = SERVER.post("/v1/messages/count_tokens", &body(fields.clone())).json();
    let message = SERVER.post("/v1/messages", &body(fields)).json();
    let usage = &message["usage"];
    let read = usage["cache_read_input_tokens"].as_u64().zip(usage["input_tokens"].as_u64());
    assert_eq!(count["input_tokens"].as_u64(), read.map(|(cached, new)| cached + new));
    let without = json!({ "messages": messages });
    let without = SERVER.post("/v1/messages/count_tokens", &body(without)).json();
    assert!(without["input_tokens"].as_u64() < count["input_tokens"].as_u64());
}

#[test]
fn refusals_are_in_its_form() {
    let image = json!([{ "role": "user", "content": [
        { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "" } },
    ] }]);
    for (fields, text) in [
        (json!({ "max_tokens": null }), "max_tokens"),
        (json!({ "max_tokens": 0 }), "max_tokens"),
        (json!({ "messages": [] }), "messages"),
        (json!({ "messages": image }), "image"),
        (json!({ "messages": [{ "role": "system", "content": "x" }] }), "messages.0.role"),
        (json!({ "messages": [{ "role": "user", "content": 3 }] }), "messages.0.content"),
        (json!({ "messages": [{ "role": "user", "content": [{ "type": "x" }] }] }), "content.0"),
        (json!({ "system": [{ "type": "image" }] }), "image"),
        (json!({ "tools": [{ "type": "bash_20250124", "name": "bash" }] }), "bash_20250124"),
        (json!({ "tool_choice": { "type": "any" } }), "tools"),
        (json!({ "tool_choice": { "type": "all" } }), "tool_choice"),
        (json!({ "messages": user(&"x".repeat(N_CTX)) }), "context"),
    ] {
        let refusal = SERVER.post("/v1/messages", &body(fields.clone())).refusal(400);
        assert_eq!(refusal["type"], "error");
        assert_eq!(refusal["error"]["type"], "invalid_request_error");
        let message = refusal["error"]["message"].as_str().expect("a message").to_owned();
        assert!(message.contains(text), "{fields}: {message}");
    }
    let unknown = SERVER.post("/v1/messages/batches", &json!({})).refusal(404);
    assert_eq!(unknown["error"]["type"], "not_found_error");
    let wrong = SERVER.get("/v1/messages").refusal(405);
    assert_eq!(wrong["type"], "error");
}

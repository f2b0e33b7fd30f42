//! Answers that are held to grammars, schemas and calls of functions, by every API.

use serde_json::{Map, Value, json};

use crate::support::{SERVER, user};

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": { "a": { "enum": ["x", "yy"] }, "b": { "type": "boolean" } },
        "required": ["a", "b"],
        "additionalProperties": false,
    })
}

fn post(path: &str, fields: Value) -> Value {
    let mut body = json!({
        "model": "m", "messages": user("x"), "input": "x", "max_tokens": 1000, "stream": false,
    });
    if path != "/v1/responses" {
        body["prompt"] = "x".into();
    }
    let more: Map<String, Value> = fields.as_object().expect("fields").clone();
    body.as_object_mut().expect("an object").extend(more);
    SERVER.post(path, &body).json()
}

#[track_caller]
fn fits(text: &Value) {
    let value = serde_json::from_str(text.as_str().expect("text"));
    let value: Value = value.unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(value["a"] == "x" || value["a"] == "yy", "{value}");
    assert!(value["b"].is_boolean(), "{value}");
}

#[test]
fn grammars_are_followed() {
    let fields = json!({ "grammar": "root ::= \"ab\" [c-d]+ \"e\"", "n_predict": 400 });
    for (path, pointer) in [
        ("/completion", "/content"),
        ("/v1/completions", "/choices/0/text"),
        ("/v1/chat/completions", "/choices/0/message/content"),
    ] {
        let answer = post(path, fields.clone());
        let text = answer.pointer(pointer).and_then(Value::as_str).expect("text");
        let rest = text.strip_prefix("ab").unwrap_or_else(|| panic!("{path}: {text}"));
        assert!(rest.trim_end_matches('e').chars().all(|c| c == 'c' || c == 'd'), "{text}");
    }
}

#[test]
fn schemas_are_kept() {
    let schema = schema();
    let named = json!({ "type": "json_schema", "json_schema": { "name": "n", "schema": schema } });
    let format = json!({ "type": "json_schema", "name": "n", "schema": schema });
    for (path, fields, pointer) in [
        ("/completion", json!({ "json_schema": schema }), "/content"),
        ("/v1/chat/completions", json!({ "response_format": named }), "/choices/0/message/content"),
        ("/v1/completions", json!({ "response_format": named }), "/choices/0/text"),
        ("/v1/responses", json!({ "text": { "format": format } }), "/output/0/content/0/text"),
        ("/v1/messages", json!({ "output_config": { "format": format } }), "/content/0/text"),
        ("/api/chat", json!({ "format": schema }), "/message/content"),
        ("/api/generate", json!({ "format": schema }), "/response"),
        ("/api/generate", json!({ "format": schema, "raw": true }), "/response"),
    ] {
        fits(post(path, fields).pointer(pointer).unwrap_or_else(|| panic!("{path}")));
    }
}

#[test]
fn functions_are_called_where_they_must_be() {
    let function = json!({ "name": "f", "parameters": schema() });
    let tool = json!([{ "type": "function", "function": function }]);
    let named = json!({ "type": "function", "function": { "name": "f" } });
    for choice in [json!("required"), named] {
        let answer = post(
            "/v1/chat/completions",
            json!({ "tools": tool, "tool_choice": choice, "parallel_tool_calls": false }),
        );
        let choice = &answer["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls", "{choice}");
        let call = &choice["message"]["tool_calls"][0];
        assert_eq!(call["function"]["name"], "f");
        fits(&call["function"]["arguments"]);
    }
    let flat = json!([{ "type": "function", "name": "f", "parameters": schema() }]);
    let answer = post(
        "/v1/responses",
        json!({ "tools": flat, "tool_choice": "required", "parallel_tool_calls": false }),
    );
    let item = answer["output"].as_array().and_then(|items| items.last()).expect("items");
    assert_eq!(item["type"], "function_call", "{answer}");
    fits(&item["arguments"]);
    let own = json!([{ "name": "f", "input_schema": schema() }]);
    let fields = json!({ "tools": own, "tool_choice": { "type": "any", "disable_parallel_tool_use": true } });
    let answer = post("/v1/messages", fields.clone());
    assert_eq!(answer["stop_reason"], "tool_use", "{answer}");
    let blocks = answer["content"].as_array().expect("blocks");
    let used = blocks.last().expect("a block");
    assert!(used["id"].as_str().is_some_and(|id| id.starts_with("toolu_")), "{used}");
    fits(&used["input"].to_string().into());
    let mut body = json!({ "messages": user("x"), "max_tokens": 1000, "stream": true });
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("fields").clone());
    let events = SERVER.post("/v1/messages", &body).events();
    let parts = events.iter().filter_map(|(_, event)| event["delta"]["partial_json"].as_str());
    fits(&parts.collect::<String>().into());
}

#[test]
fn what_is_no_grammar_is_refused() {
    let tools = json!([{ "type": "function", "function": { "name": "f" } }]);
    for fields in [
        json!({ "grammar": "root ::= missing" }),
        json!({ "grammar": "root ::= root \"a\"" }),
        json!({ "grammar": "nonsense" }),
        json!({ "json_schema": { "type": "nothing" } }),
        json!({ "json_schema": {}, "grammar": "root ::= \"a\"" }),
        json!({ "json_schema": {}, "tools": tools, "tool_choice": "required" }),
        json!({ "tools": tools, "tool_choice": { "function": { "name": "g" } } }),
    ] {
        let mut body = json!({ "messages": user("x"), "stream": true });
        let more = fields.as_object().expect("fields").clone();
        body.as_object_mut().expect("an object").extend(more);
        SERVER.post("/v1/chat/completions", &body).refusal(400);
    }
}

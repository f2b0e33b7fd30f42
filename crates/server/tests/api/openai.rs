//! The API of OpenAI.

use serde_json::{Value, json};

use crate::model::{END, id};
use crate::support::{N_CTX, SERVER, only, user};

fn chat(fields: Value) -> Value {
    let mut body = json!({ "messages": user("hi"), "max_tokens": 5, "logit_bias": only(id('a')) });
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("fields").clone());
    body
}

#[test]
fn chats_are_answered() {
    for path in ["/v1/chat/completions", "/chat/completions"] {
        let answer = SERVER.post(path, &chat(json!({ "n": 2 }))).json();
        assert_eq!(answer["object"], "chat.completion");
        assert_eq!(answer["choices"].as_array().map(Vec::len), Some(2));
        assert_eq!(answer["choices"][1]["message"]["content"], "aaaaa");
        assert_eq!(answer["choices"][0]["finish_reason"], "length");
        assert_eq!(answer["usage"]["completion_tokens"], 10);
    }
    let ended = SERVER.post("/v1/chat/completions", &chat(json!({ "logit_bias": only(END) })));
    assert_eq!(ended.json()["choices"][0]["finish_reason"], "stop");
    let stopped = chat(json!({ "stop": ["aaa"], "max_tokens": 50 }));
    let stopped = SERVER.post("/v1/chat/completions", &stopped).json();
    assert_eq!(stopped["choices"][0]["message"]["content"], "");
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
}

#[test]
fn chats_are_streamed() {
    let body = chat(json!({ "stream": true, "stream_options": { "include_usage": true } }));
    let events = SERVER.post("/v1/chat/completions", &body).events();
    let (last, chunks) = events.split_last().expect("events");
    assert_eq!(last.1, "[DONE]");
    let text: String = chunks
        .iter()
        .filter_map(|(_, chunk)| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, "aaaaa");
    let usage = &chunks.last().expect("usage").1["usage"];
    assert_eq!(usage["completion_tokens"], 5);
}

#[test]
fn the_assistants_words_are_continued() {
    let messages = json!([
        { "role": "user", "content": "hi" }, { "role": "assistant", "content": "ok" },
    ]);
    let prompt = SERVER.post("/apply-template", &json!({ "messages": messages })).json();
    let prompt = prompt["prompt"].as_str().expect("a prompt").to_owned();
    assert!(prompt.ends_with("<|im_start|>assistant\nok"), "{prompt}");
    let twice = json!([
        { "role": "user", "content": "hi" },
        { "role": "assistant", "content": "a" },
        { "role": "assistant", "content": "b" },
    ]);
    SERVER.post("/apply-template", &json!({ "messages": twice })).refusal(400);
}

#[test]
fn repeated_prompts_come_from_memory() {
    let body = chat(json!({ "messages": user(&"again and again ".repeat(12)) }));
    let tokens = |answer: &Value| answer["usage"]["prompt_tokens"].as_u64();
    let first = SERVER.post("/v1/chat/completions", &body).json();
    let second = SERVER.post("/v1/chat/completions", &body).json();
    let cached = second["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64();
    assert!(cached > Some(100), "{cached:?}");
    assert_eq!(tokens(&first), tokens(&second));
}

#[test]
fn probabilities_are_reported() {
    let body = chat(json!({ "logprobs": true, "top_logprobs": 3, "logit_bias": {} }));
    let answer = SERVER.post("/v1/chat/completions", &body).json();
    let content = answer["choices"][0]["logprobs"]["content"].as_array().expect("tokens").clone();
    assert!(content.iter().all(|token| token["top_logprobs"].as_array().map(Vec::len) == Some(3)));
}

#[test]
fn texts_are_continued() {
    let body = json!({
        "prompt": ["x", "y"], "max_tokens": 3, "logit_bias": only(id('b')), "echo": true,
    });
    let answer = SERVER.post("/v1/completions", &body).json();
    assert_eq!(answer["choices"][1]["text"].as_str().map(str::trim), Some("ybbb"));
    let mut stream = body.clone();
    stream["stream"] = true.into();
    let events = SERVER.post("/v1/completions", &stream).events();
    assert_eq!(events.last().expect("events").1, "[DONE]");
    SERVER.post("/v1/completions", &json!({ "prompt": "x", "suffix": "y" })).refusal(400);
}

#[test]
fn models_are_listed() {
    for path in ["/v1/models", "/models"] {
        assert_eq!(SERVER.get(path).json()["data"][0]["id"], "tiny");
    }
    assert_eq!(SERVER.get("/v1/models/tiny").json()["meta"]["n_ctx"], N_CTX);
    assert_eq!(SERVER.get("/v1/models/other").refusal(404)["error"]["type"], "not_found_error");
}

#[test]
fn refusals_say_what_is_wrong() {
    let tool = json!([{ "type": "function", "function": { "name": "f" } }]);
    let image = json!([{ "role": "user", "content": [
        { "type": "image_url", "image_url": { "url": "data:," } },
    ] }]);
    for (fields, status, text) in [
        (json!({ "messages": [] }), 400, "messages"),
        (json!({ "messages": image }), 400, "image_url"),
        (json!({ "n": 0 }), 400, "'n'"),
        (json!({ "n": 65 }), 400, "'n'"),
        (json!({ "temperature": "hot" }), 400, "temperature"),
        (json!({ "tool_choice": "required" }), 400, "tools"),
        (json!({ "tool_choice": "perhaps", "tools": tool }), 400, "tool_choice"),
        (json!({ "response_format": { "type": "xml" } }), 400, "response_format"),
        (json!({ "messages": user(&"x".repeat(N_CTX)) }), 400, "context"),
    ] {
        let refusal = SERVER.post("/v1/chat/completions", &chat(fields.clone())).refusal(status);
        let message = refusal["error"]["message"].as_str().expect("a message").to_owned();
        assert!(message.contains(text), "{fields}: {message}");
        assert_eq!(refusal["error"]["code"], status);
    }
    let long = chat(json!({ "messages": user(&"x".repeat(N_CTX)) }));
    let long = SERVER.post("/v1/chat/completions", &long).refusal(400);
    assert_eq!(long["error"]["type"], "exceed_context_size_error");
    assert_eq!(long["error"]["n_ctx"], N_CTX);
}

//! Requests that mean no good.

use std::sync::LazyLock;

use serde_json::json;
use server::Config;

use crate::support::{Running, SERVER, config, user};

const POSTS: [&str; 13] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/completion",
    "/infill",
    "/tokenize",
    "/detokenize",
    "/apply-template",
    "/api/chat",
    "/api/generate",
    "/api/show",
];

static SMALL: LazyLock<Running> =
    LazyLock::new(|| Running::start("small", 256, Config { max_body: 1 << 16, ..config() }));

#[test]
fn large_bodies_are_refused() {
    let body = json!({ "messages": user(&"x".repeat(1 << 16)) }).to_string();
    for path in POSTS {
        assert_eq!(SMALL.send("POST", path, &[], body.as_bytes()).status, 413, "{path}");
    }
    assert_eq!(SMALL.get("/health").status, 200);
}

#[test]
fn what_is_not_json_is_refused() {
    let deep = "[".repeat(10_000);
    let nested = format!(r#"{{"messages":{deep},"prompt":{deep},"input":{deep},"system":{deep}}}"#);
    for path in POSTS {
        for body in [
            &b"\xff\xfe{}"[..],
            b"{\"messages\": [{\"role\": \"user\", \"content\": \"\xc3\x28\"}], \"prompt\": \"\xff\"}",
            b"",
            b"{",
            b"nonsense",
            b"{} {}",
            b"{\"model\": 3, \"name\": 4}",
            nested.as_bytes(),
            deep.as_bytes(),
        ] {
            let status = SERVER.send("POST", path, &[], body).status;
            let text = String::from_utf8_lossy(&body[..body.len().min(60)]);
            assert_eq!(status, 400, "{path} {text}");
        }
    }
    let (open, close) = (r#"{"a":"#.repeat(5000), "}".repeat(5000));
    for body in [
        format!(r#"{{"messages":[],"tools":[{open}1{close}]}}"#),
        r#"{"messages":[],"temperature":1e999}"#.to_owned(),
    ] {
        let reply = SERVER.send("POST", "/v1/chat/completions", &[], body.as_bytes());
        assert_eq!(reply.status, 400);
    }
}

#[test]
fn senseless_numbers_are_refused() {
    for (path, fields) in [
        ("/v1/chat/completions", json!({ "max_tokens": -5 })),
        ("/v1/chat/completions", json!({ "n": -1 })),
        ("/v1/chat/completions", json!({ "top_k": -7 })),
        ("/v1/chat/completions", json!({ "top_logprobs": -1 })),
        ("/v1/chat/completions", json!({ "n_probs": 1_000_000 })),
        ("/v1/chat/completions", json!({ "min_keep": -1 })),
        ("/v1/chat/completions", json!({ "mirostat": 9 })),
        ("/v1/chat/completions", json!({ "seed": 1.5 })),
        ("/v1/chat/completions", json!({ "logit_bias": [[99_999_999_999_u64, 1]] })),
        ("/v1/completions", json!({ "n": 9_999_999 })),
        ("/v1/messages", json!({ "max_tokens": -1 })),
        ("/v1/messages", json!({ "top_k": -9 })),
        ("/v1/responses", json!({ "max_output_tokens": -3 })),
        ("/completion", json!({ "n_keep": -2 })),
        ("/completion", json!({ "t_max_predict_ms": -2 })),
        ("/completion", json!({ "prompt": [-1] })),
        ("/completion", json!({ "prompt": [999_999] })),
        ("/completion", json!({ "prompt": [] })),
        ("/completion", json!({ "prompt": vec!["x"; 1000] })),
        ("/detokenize", json!({ "tokens": [-1] })),
        ("/api/chat", json!({ "options": { "num_predict": -9 } })),
        ("/api/generate", json!({ "context": [-4] })),
    ] {
        let mut body = json!({
            "messages": user("hi"), "prompt": "hi", "input": "hi", "max_tokens": 1,
            "stream": false,
        });
        let more = fields.as_object().expect("fields").clone();
        body.as_object_mut().expect("an object").extend(more);
        let reply = SERVER.post(path, &body);
        assert_eq!(reply.status, 400, "{path} {fields}: {}", reply.body);
    }
}

#[test]
fn too_many_stops_are_refused() {
    let stops: Vec<String> = (0..10_000).map(|i| format!("stop {i}")).collect();
    let long = "x".repeat(1 << 20);
    for stops in [json!(stops), json!([long]), json!([1])] {
        for (path, body) in [
            ("/v1/chat/completions", json!({ "messages": user("hi"), "stop": stops })),
            ("/completion", json!({ "prompt": "hi", "stop": stops })),
            (
                "/v1/messages",
                json!({ "messages": user("hi"), "max_tokens": 1, "stop_sequences": stops }),
            ),
            ("/api/chat", json!({ "messages": user("hi"), "options": { "stop": stops } })),
        ] {
            assert_eq!(SERVER.post(path, &body).status, 400, "{path}");
        }
    }
}

#[test]
fn unknown_routes_and_methods_are_refused() {
    assert_eq!(SERVER.get("/v1/nothing").refusal(404)["error"]["type"], "not_found_error");
    assert_eq!(SERVER.get("/../../etc/passwd").status, 404);
    for path in POSTS {
        assert_eq!(SERVER.get(path).status, 405, "{path}");
    }
    assert_eq!(SERVER.post("/health", &json!({})).status, 405);
}

#[test]
fn addresses_that_are_no_text_are_refused() {
    for path in ["/v1/models/%ff", "/slots?model=a&model=b"] {
        let refusal = SERVER.get(path).refusal(400);
        assert_eq!(refusal["error"]["type"], "invalid_request_error", "{path}");
    }
}

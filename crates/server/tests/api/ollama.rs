//! The API of Ollama.

use serde_json::{Value, json};

use crate::model::{END, id};
use crate::support::{N_CTX, SERVER, only, user};

fn options(bias: Value) -> Value {
    json!({ "num_predict": 4, "logit_bias": bias })
}

#[test]
fn chats_come_as_lines() {
    let body = json!({ "model": "m", "messages": user("hi"), "options": options(only(id('a'))) });
    let lines = SERVER.post("/api/chat", &body).lines();
    let text: String =
        lines.iter().filter_map(|line| line["message"]["content"].as_str()).collect();
    assert_eq!(text, "aaaa");
    let (last, others) = lines.split_last().expect("lines");
    assert!(others.iter().all(|line| line["done"] == false));
    assert_eq!(last["done"], true);
    assert_eq!(last["done_reason"], "length");
    assert_eq!(last["eval_count"], 4);
    assert!(last["total_duration"].as_u64() > last["eval_duration"].as_u64());
    let created = last["created_at"].as_str().expect("a time");
    assert!(created.starts_with("20") && created.ends_with('Z'), "{created}");
    let mut whole = body.clone();
    whole["stream"] = false.into();
    whole["options"] = options(only(END));
    let whole = SERVER.post("/api/chat", &whole).json();
    assert_eq!(whole["done_reason"], "stop");
    assert_eq!(whole["message"]["role"], "assistant");
}

#[test]
fn prompts_are_answered() {
    let generate = |fields: Value| {
        let mut body =
            json!({ "prompt": "hi", "stream": false, "options": options(only(id('b'))) });
        let fields = fields.as_object().expect("fields").clone();
        body.as_object_mut().expect("an object").extend(fields);
        SERVER.post("/api/generate", &body).json()
    };
    let count = |answer: &Value| answer["prompt_eval_count"].as_u64().expect("a count");
    let plain = generate(json!({}));
    assert_eq!(plain["response"], "bbbb");
    let raw = generate(json!({ "raw": true }));
    assert!(count(&raw) < count(&plain));
    let system = generate(json!({ "system": "be brief" }));
    assert!(count(&system) > count(&plain));
    let template = generate(json!({ "template": "{{ .Prompt }}!" }));
    assert!(count(&template) < count(&plain));
    let filled = generate(json!({ "suffix": "end" }));
    assert_eq!(filled["response"], "bbbb");
    let context = plain["context"].as_array().expect("tokens").len() as u64;
    assert_eq!(context, count(&plain) + 4);
    let next = generate(json!({ "context": plain["context"] }));
    assert!(count(&next) > context);
    let streamed = json!({ "prompt": "hi", "options": options(only(id('b'))) });
    assert_eq!(SERVER.post("/api/generate", &streamed).lines().len(), 5);
}

#[test]
fn models_are_loaded_at_once() {
    let chat = SERVER.post("/api/chat", &json!({ "model": "m", "messages": [] })).json();
    assert_eq!(chat["done_reason"], "load");
    let generate = SERVER.post("/api/generate", &json!({ "model": "m" })).json();
    assert_eq!((&generate["done"], &generate["response"]), (&true.into(), &"".into()));
}

#[test]
fn models_are_described() {
    assert!(SERVER.get("/api/version").json()["version"].is_string());
    assert_eq!(SERVER.get("/api/tags").json()["models"][0]["name"], "tiny");
    assert_eq!(SERVER.get("/api/ps").json()["models"][0]["context_length"], N_CTX);
    let shown = SERVER.post("/api/show", &json!({ "model": "tiny" })).json();
    assert_eq!(shown["model_info"]["general.architecture"], "llama");
    assert_eq!(shown["details"]["family"], "llama");
    let capabilities = shown["capabilities"].as_array().expect("names").clone();
    assert!(capabilities.contains(&"completion".into()) && capabilities.contains(&"insert".into()));
}

#[test]
fn refusals_are_in_its_form() {
    for (path, fields, status, text) in [
        ("/api/chat", json!({ "options": { "num_ctx": 100_000 } }), 400, "100000"),
        ("/api/chat", json!({ "options": { "num_ctx": -1 } }), 400, "num_ctx"),
        ("/api/chat", json!({ "options": { "num_predict": -7 } }), 400, "n_predict"),
        ("/api/chat", json!({ "options": { "temperature": "hot" } }), 400, "temperature"),
        ("/api/chat", json!({ "format": "xml" }), 400, "format"),
        ("/api/chat", json!({ "think": "very" }), 400, "think"),
        ("/api/chat", json!({ "messages": [{ "role": "user", "images": ["x"] }] }), 400, "image"),
        ("/api/generate", json!({ "images": ["x"] }), 400, "image"),
        ("/api/generate", json!({ "template": "{{ range . }}" }), 400, "template"),
        ("/api/embed", json!({ "input": 7 }), 400, "input"),
        ("/api/embed", json!({ "input": "x", "dimensions": 1000 }), 400, "dimensions"),
        ("/api/embed", json!({ "input": "x".repeat(5000), "truncate": false }), 400, "context"),
        ("/api/pull", json!({ "model": "x" }), 404, "/api/pull"),
    ] {
        let mut body = json!({ "model": "m", "prompt": "hi", "messages": user("hi") });
        let more = fields.as_object().expect("fields").clone();
        body.as_object_mut().expect("an object").extend(more);
        let refusal = SERVER.post(path, &body).refusal(status);
        let message = refusal["error"].as_str().expect("a message").to_owned();
        assert!(message.contains(text), "{path} {fields}: {message}");
    }
}

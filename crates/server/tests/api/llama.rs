//! The API of llama.cpp.

use serde_json::json;

use crate::model::id;
use crate::support::{N_CTX, SERVER, only, user};

#[test]
fn texts_are_continued() {
    for path in ["/completion", "/completions"] {
        let body = json!({ "prompt": "x", "n_predict": 3, "logit_bias": only(id('c')) });
        let answer = SERVER.post(path, &body).json();
        assert_eq!(answer["content"], "ccc");
        assert_eq!(answer["stop_type"], "limit");
        assert_eq!(answer["tokens_predicted"], 3);
    }
    let several = json!({ "prompt": ["x", [10, 11]], "n_predict": 2 });
    assert_eq!(SERVER.post("/completion", &several).json().as_array().map(Vec::len), Some(2));
    let stop = json!({ "prompt": "x", "stop": "cc", "logit_bias": only(id('c')), "stream": true });
    let events = SERVER.post("/completion", &stop).events();
    let last = &events.last().expect("events").1;
    assert_eq!((&last["stop_type"], &last["stopping_word"]), (&"word".into(), &"cc".into()));
}

#[test]
fn gaps_are_filled() {
    let body = json!({ "input_prefix": "a", "input_suffix": "b", "n_predict": 2 });
    let answer = SERVER.post("/infill", &body).json();
    assert_eq!(answer["tokens_predicted"], 2);
}

#[test]
fn texts_become_tokens_and_back() {
    let tokens = SERVER.post("/tokenize", &json!({ "content": "abc" })).json()["tokens"].clone();
    let text = SERVER.post("/detokenize", &json!({ "tokens": tokens })).json();
    assert_eq!(text["content"].as_str().map(str::trim), Some("abc"));
    let pieces = json!({ "content": "abc", "with_pieces": true });
    let pieces = SERVER.post("/tokenize", &pieces).json();
    assert_eq!(
        pieces["tokens"].as_array().and_then(|all| all.last()?["piece"].as_str()),
        Some("c")
    );
    let prompt = SERVER.post("/apply-template", &json!({ "messages": user("hi") })).json();
    assert!(prompt["prompt"].as_str().is_some_and(|text| text.contains("<|im_start|>user\nhi")));
}

#[test]
fn the_server_tells_about_itself() {
    for path in ["/health", "/v1/health"] {
        assert_eq!(SERVER.get(path).json()["status"], "ok");
    }
    let props = SERVER.get("/props").json();
    assert_eq!(props["default_generation_settings"]["n_ctx"], N_CTX);
    assert_eq!(props["total_slots"], 4);
    assert_eq!(SERVER.get("/slots").json().as_array().map(Vec::len), Some(4));
    let metrics = SERVER.get("/metrics");
    assert!(metrics.status == 200 && metrics.body.contains("llamacpp:requests_processing"));
    let document = SERVER.get("/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
}

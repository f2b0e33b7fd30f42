//! Vectors of texts, and scores.

use engine::fleet::FleetOptions;
use serde_json::{Value, json};

use crate::model;
use crate::support::{N_CTX, Running, SERVER, config, greedy};

fn vector(value: &Value) -> Vec<f64> {
    let values = value.as_array().expect("a vector").iter();
    values.map(|value| value.as_f64().expect("a number")).collect()
}

fn length(vector: &[f64]) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}

#[test]
fn texts_become_vectors() {
    let body = json!({ "model": "m", "input": ["good day", [9, 10, 11]] });
    let answer = SERVER.post("/v1/embeddings", &body).json();
    assert_eq!((&answer["object"], &answer["model"]), (&json!("list"), &json!("tiny")));
    assert_eq!(answer["usage"]["prompt_tokens"], answer["usage"]["total_tokens"]);
    let data = answer["data"].as_array().expect("objects");
    assert_eq!(data.len(), 2);
    let first = vector(&data[0]["embedding"]);
    assert_eq!((first.len(), data[1]["index"].as_u64()), (32, Some(1)));
    assert!((length(&first) - 1.0).abs() < 1e-5);
    // Alone, as tokens, and as bytes.
    let alone = SERVER.post("/v1/embeddings", &json!({ "input": "good day" })).json();
    let alone = vector(&alone["data"][0]["embedding"]);
    let tokens = json!({ "content": "good day", "add_special": true });
    let tokens = SERVER.post("/tokenize", &tokens).json()["tokens"].clone();
    let by_tokens = SERVER.post("/v1/embeddings", &json!({ "input": tokens })).json();
    let by_tokens = vector(&by_tokens["data"][0]["embedding"]);
    let bytes = json!({ "input": "good day", "encoding_format": "base64" });
    let bytes = SERVER.post("/v1/embeddings", &bytes).json();
    let bytes = bytes["data"][0]["embedding"].as_str().expect("text").to_owned();
    assert_eq!(bytes.len(), (32usize * 4).div_ceil(3) * 4);
    for other in [alone, by_tokens] {
        assert!(first.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-5), "{first:?} {other:?}");
    }
    let short = SERVER.post("/v1/embeddings", &json!({ "input": "good day", "dimensions": 8 }));
    let short = vector(&short.json()["data"][0]["embedding"]);
    assert!(short.len() == 8 && (length(&short) - 1.0).abs() < 1e-5);
}

#[test]
fn each_api_has_its_form() {
    let plain = json!({ "content": "good day", "embd_normalize": -1 });
    for path in ["/embedding", "/embeddings"] {
        let answer = SERVER.post(path, &plain).json();
        let vector = vector(&answer[0]["embedding"][0]);
        assert!(vector.len() == 32 && (length(&vector) - 1.0).abs() > 1e-3, "{path}");
    }
    let answer = SERVER.post("/api/embed", &json!({ "model": "m", "input": ["a", "b"] })).json();
    assert_eq!(answer["embeddings"].as_array().map(Vec::len), Some(2));
    assert!(answer["prompt_eval_count"].as_u64().is_some_and(|n| n >= 4), "{answer}");
    let long = json!({ "model": "m", "input": "x".repeat(2 * N_CTX) });
    assert_eq!(SERVER.post("/api/embed", &long).json()["prompt_eval_count"], N_CTX);
    let answer = SERVER.post("/api/embeddings", &json!({ "model": "m", "prompt": "a" })).json();
    assert!((length(&vector(&answer["embedding"])) - 1.0).abs() < 1e-5);
}

#[test]
fn what_is_no_text_is_refused() {
    let long = "x".repeat(2 * N_CTX);
    for body in [
        json!({}),
        json!({ "input": 7 }),
        json!({ "input": [] }),
        json!({ "input": [[]] }),
        json!({ "input": ["a", 7] }),
        json!({ "input": [-1] }),
        json!({ "input": [1_000_000] }),
        json!({ "input": long }),
        json!({ "input": vec!["a"; 3000] }),
        json!({ "input": "a", "dimensions": 0 }),
        json!({ "input": "a", "dimensions": 33 }),
        json!({ "input": "a", "encoding_format": "xml" }),
    ] {
        SERVER.post("/v1/embeddings", &body).refusal(400);
    }
    let wrong = json!({ "content": "a", "embd_normalize": -2 });
    SERVER.post("/embedding", &wrong).refusal(400);
}

#[test]
fn texts_are_ranked() {
    let models = [("ranker".into(), model::ranker("ranker").into())].into();
    let server = Running::with(models, N_CTX, FleetOptions::default(), config(), greedy());
    let documents = ["one", "two words", "three"];
    for path in ["/v1/rerank", "/rerank", "/v1/reranking", "/reranking"] {
        let answer = server.post(path, &json!({ "query": "q", "documents": documents })).json();
        let results = answer["results"].as_array().expect("results").clone();
        let score = |result: &Value| result["relevance_score"].as_f64().expect("a score");
        assert!(results.is_sorted_by(|a, b| score(a) >= score(b)), "{answer}");
        let mut order: Vec<u64> = results.iter().filter_map(|r| r["index"].as_u64()).collect();
        let (best, best_score) = (order[0] as usize, score(&results[0]));
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2]);
        assert!(score(&results[0]) > score(&results[2]) && score(&results[0]) <= 1.0);
        // The same of the best alone, with its text.
        let alone = json!({
            "query": "q", "documents": [{ "text": documents[best] }], "return_documents": true,
        });
        let alone = server.post(path, &alone).json();
        assert!((score(&alone["results"][0]) - best_score).abs() < 1e-5);
        assert_eq!(alone["results"][0]["document"]["text"], documents[best]);
    }
    let plain = json!({ "query": "q", "texts": documents, "top_n": 2, "return_text": true });
    let plain = server.post("/rerank", &plain).json();
    assert_eq!(plain.as_array().map(Vec::len), Some(2));
    assert!(plain[0]["score"].is_number() && plain[0]["text"].is_string());

    // It does nothing else, and others don't rank.
    server.post("/v1/embeddings", &json!({ "input": "a" })).refusal(501);
    server.post("/completion", &json!({ "prompt": "a" })).refusal(501);
    server.post("/v1/rerank", &json!({ "query": "q" })).refusal(400);
    server.post("/v1/rerank", &json!({ "query": "q", "documents": [] })).refusal(400);
    SERVER.post("/v1/rerank", &json!({ "query": "q", "documents": ["a"] })).refusal(501);
}

//! Several models in one process.

use engine::fleet::FleetOptions;
use gguf::Location;
use serde_json::{Value, json};
use server::Config;

use crate::model;
use crate::support::{N_CTX, Running, config, greedy};

fn states(server: &Running) -> Vec<(String, String)> {
    let models = server.get("/v1/models").json();
    let state = |model: &Value| {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        (text(&model["id"]), text(&model["status"]["value"]))
    };
    models["data"].as_array().expect("models").iter().map(state).collect()
}

fn complete(server: &Running, model: &str) -> crate::support::Reply {
    server.post("/v1/completions", &json!({ "model": model, "prompt": "a", "max_tokens": 2 }))
}

#[test]
fn models_are_loaded_when_they_are_asked_for() {
    let files = ["fleet-a", "fleet-b", "fleet-c"].map(model::file);
    let models = ["a", "b", "c"].map(str::to_owned).into_iter();
    let models = models.zip(files.clone().map(Location::from)).collect();
    let options = FleetOptions { most_loaded: 2, ..<_>::default() };
    let config = Config { metrics: true, ..config() };
    let server = Running::with(models, N_CTX, options, config, greedy());
    let state = |name: &str| {
        let all = states(&server);
        all.into_iter().find(|(id, _)| id == name).expect("the model").1
    };
    assert_eq!(states(&server).len(), 3);
    assert_eq!(state("a"), "unloaded");
    assert_eq!(complete(&server, "a").json()["model"], "a");
    assert_eq!(complete(&server, "b").json()["model"], "b");
    assert_eq!([state("a"), state("b"), state("c")], ["loaded", "loaded", "unloaded"]);
    // The third takes the place of the one not used for the longest time.
    assert_eq!(complete(&server, "c").status, 200);
    assert_eq!([state("a"), state("b"), state("c")], ["unloaded", "loaded", "loaded"]);
    assert_eq!(server.post("/models/unload", &json!({ "model": "b" })).json()["success"], true);
    assert_eq!(state("b"), "unloaded");
    server.post("/models/unload", &json!({ "model": "b" })).refusal(400);
    assert_eq!(server.post("/models/load", &json!({ "model": "b" })).json()["success"], true);
    assert_eq!(state("b"), "loaded");

    for name in ["none", "a/../b"] {
        let refusal = complete(&server, name).refusal(404);
        let message = refusal["error"]["message"].as_str().expect("a message").to_owned();
        assert!(message.contains(name) && message.contains("a, b, c"), "{message}");
    }
    server.post("/completion", &json!({ "prompt": "a" })).refusal(404);
    server.post("/models/load", &json!({ "model": "none" })).refusal(404);
    assert_eq!(server.get("/props?model=b").json()["model_alias"], "b");
    let metrics = server.get("/metrics").body;
    assert!(metrics.contains("llamacpp:n_decode_total{model=\"b\"}"), "{metrics}");
    let tags = server.get("/api/tags").json();
    assert_eq!(tags["models"].as_array().map(Vec::len), Some(3));
    assert_eq!(server.get("/api/ps").json()["models"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_model_that_cannot_be_loaded_says_why() {
    let broken = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("broken.gguf");
    std::fs::write(&broken, b"GGUF, or rather not").expect("a file");
    let models = [("good", model::file("fleet-good")), ("broken", broken)];
    let models = models.map(|(name, file)| (name.to_owned(), Location::from(file))).into();
    let options = FleetOptions { autoload: false, ..<_>::default() };
    let server = Running::with(models, N_CTX, options, config(), greedy());
    complete(&server, "good").refusal(400);
    server.post("/models/load", &json!({ "model": "good" })).json();
    assert_eq!(complete(&server, "good").status, 200);
    let refusal = server.post("/models/load", &json!({ "model": "broken" })).refusal(500);
    assert!(refusal["error"]["message"].as_str().is_some_and(|text| text.contains("broken.gguf")));
    let models = server.get("/v1/models/broken").json();
    assert_eq!(models["status"]["failed"], true);
}

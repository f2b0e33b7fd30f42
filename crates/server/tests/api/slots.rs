//! Slots kept in files, and what is told of them.

use serde_json::json;
use server::Config;

use crate::support::{N_CTX, Running, SERVER, config};

#[test]
fn slots_are_saved_and_restored() {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("slots");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let start = || {
        let config = Config { slot_save_path: Some(folder.clone()), ..config() };
        Running::start("slots", N_CTX, config)
    };
    let server = start();
    let prompt = json!({ "prompt": "x".repeat(300), "n_predict": 4, "cache_prompt": true });
    let first = server.post("/completion", &prompt).json();
    assert_eq!(first["timings"]["cache_n"], 0);
    let slots = server.get("/slots").json();
    let slots = slots.as_array().expect("slots");
    let used = slots.iter().position(|slot| slot["n_past"].as_u64() > Some(300)).expect("a slot");
    let file = json!({ "filename": "a.bin" });
    let order = |action: &str| format!("/slots/{used}?action={action}");
    let saved = server.post(&order("save"), &file).json();
    assert!(saved["n_saved"].as_u64() >= Some(300), "{saved}");
    assert_eq!(saved["filename"], "a.bin");
    assert!(saved["timings"]["save_ms"].is_number() && folder.join("a.bin").is_file());
    let erased = server.post(&order("erase"), &json!({})).json();
    assert_eq!(erased["n_erased"], saved["n_saved"]);
    let again = server.post("/completion", &prompt).json();
    assert_eq!(again["timings"]["cache_n"], 0, "forgotten");

    // Another process goes on from there.
    server.stop().join().expect("an end");
    let server = start();
    let restored = server.post("/slots/2?action=restore", &file).json();
    assert_eq!(restored["n_restored"], saved["n_saved"]);
    assert_eq!(restored["n_read"], saved["n_written"]);
    let known = server.post("/completion", &prompt).json();
    assert!(known["timings"]["cache_n"].as_u64() >= Some(300), "{known}");
    assert_eq!(known["content"], first["content"]);

    for (path, body, status) in [
        (order("save"), json!({ "filename": "../a.bin" }), 400),
        (order("save"), json!({ "filename": "/tmp/a.bin" }), 400),
        (order("save"), json!({}), 400),
        (order("restore"), json!({ "filename": "none.bin" }), 404),
        (order("burn"), file.clone(), 400),
        ("/slots/99?action=erase".into(), json!({}), 404),
        ("/slots/x?action=erase".into(), json!({}), 400),
    ] {
        server.post(&path, &body).refusal(status);
    }
    std::fs::write(folder.join("bad.bin"), b"something else").expect("a file");
    server.post(&order("restore"), &json!({ "filename": "bad.bin" })).refusal(400);
    SERVER.post(&order("save"), &file).refusal(501);
}

#[test]
fn work_is_counted() {
    let server = Running::start("counted", N_CTX, Config { metrics: true, ..config() });
    let prompt = json!({ "prompt": "x".repeat(100), "n_predict": 6, "ignore_eos": true });
    server.post("/completion", &prompt).json();
    let metrics = server.get("/metrics").body;
    let figure = |name: &str| -> f64 {
        let line = metrics.lines().find(|line| line.starts_with(&format!("llamacpp:{name} ")));
        let line = line.unwrap_or_else(|| panic!("{name} in {metrics}"));
        line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
    };
    assert!(figure("prompt_tokens_total") >= 100.0);
    assert_eq!(figure("tokens_predicted_total"), 6.0);
    assert_eq!(figure("requests_finished_total"), 1.0);
    assert!(figure("prompt_seconds_total") > 0.0 && figure("prompt_tokens_seconds") > 0.0);
    assert!(figure("n_decode_total") >= 6.0 && figure("n_busy_slots_per_decode") == 1.0);
    let slots = server.get("/slots?fail_on_no_slot=1").json();
    assert!(slots[0]["is_processing"] == false && slots[0]["n_ctx"] == N_CTX);
}

//! `llamafile doctor`.

use serde_json::Value;

use crate::support::{llamafile, model, stderr, stdout};

/// What the command prints on standard output, which must succeed.
fn doctor(arguments: &[&str]) -> String {
    let output = llamafile().arg("doctor").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    stdout(&output)
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&doctor(&[&["--json"], arguments].concat())).unwrap()
}

#[test]
fn json_tells_what_was_found_and_chosen() {
    let found = json(&[]);
    assert_eq!(found["architecture"], std::env::consts::ARCH);
    assert!(found["os"].as_str().unwrap().starts_with(std::env::consts::OS));
    let processor = &found["processor"];
    let allowed = processor["allowed"].as_array().unwrap().len() as u64;
    let [fast, slow, online] = ["performance_cores", "efficiency_cores", "online"]
        .map(|name| processor[name].as_u64().unwrap());
    assert!(fast >= 1 && fast + slow <= allowed && allowed <= online);
    let threads = found["threads"]["chosen"].as_u64().unwrap();
    assert!((1..=fast).contains(&threads));
    assert!(!found["threads"]["reason"].as_str().unwrap().is_empty());

    let levels = found["instructions"]["levels"].as_array().unwrap();
    let chosen = levels.iter().find(|level| level["name"] == found["instructions"]["chosen"]);
    assert_eq!(chosen.unwrap()["missing"].as_array().unwrap().len(), 0);
    assert!(found["limits"]["bandwidth_gb_s"].as_f64().unwrap() > 0.0);
    if cfg!(target_os = "linux") {
        let memory = &found["memory"];
        assert!(memory["available"].as_u64().unwrap() <= memory["total"].as_u64().unwrap());
    }
    assert_eq!(found["model"], Value::Null);
}

#[test]
fn flags_and_environment_change_what_is_chosen() {
    let found = json(&["-t", "1"]);
    assert_eq!(found["threads"]["chosen"], 1);
    assert_eq!(found["threads"]["reason"], "as asked for");
    let output =
        llamafile().args(["doctor", "-t", "1"]).env("LLAMAFILE_ISA", "scalar").output().unwrap();
    let text = stdout(&output);
    assert!(text.contains("LLAMAFILE_ISA=scalar asks for it"), "{text}");
}

#[test]
fn a_model_is_weighed() {
    let path = model().to_str().unwrap();
    let found = json(&[path, "-c", "1000"]);
    let fit = &found["model"];
    assert_eq!((&fit["path"], &fit["architecture"]), (&path.into(), &"llama".into()));
    assert!((90_000_000..98_362_432).contains(&fit["weights"].as_u64().unwrap()), "{fit}");
    // 30 layers of 3 heads of 64 + 64 half floats, in whole pages of 64 positions.
    assert_eq!(fit["kv"], 1024 * 30 * 3 * 128 * 2);
    assert_eq!(fit["fits"], true);

    let text = doctor(&["-m", path]);
    for part in ["System", "Processor", "Instruction sets", "Threads", "Memory", "Measured with"] {
        assert!(text.lines().any(|line| line.starts_with(part)), "no \"{part}\" in: {text}");
    }
    assert!(text.contains("\nModel\n") && text.contains("8192 tokens"), "{text}");
    let text = doctor(&["-m", path, "-c", "2000000000"]);
    assert!(text.contains("not with this context: give "), "{text}");
}

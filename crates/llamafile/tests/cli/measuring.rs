//! `llamafile bench` and `llamafile synth`.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{folder, llamafile, run, stderr, stdout};

/// A small model of random weights in a folder of that name.
fn synthesised(name: &str) -> PathBuf {
    let path = folder(name).join("model.gguf");
    let output = llamafile()
        .args(["synth", "smollm2-135m", "--type", "q8_0", "-o"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output) + &stderr(&output), "");
    path
}

#[test]
fn a_synthesised_model_is_measured_and_generates() {
    let path = synthesised("synth");
    let model = path.to_str().unwrap();
    let output = llamafile()
        .args(["bench", "-m", model, "-p", "8,4", "-n", "2", "-r", "2", "-t", "1", "-o", "json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    let results: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let results = results.as_array().unwrap();
    let tests: Vec<(u64, u64)> = results
        .iter()
        .map(|r| (r["n_prompt"].as_u64().unwrap(), r["n_gen"].as_u64().unwrap()))
        .collect();
    assert_eq!(tests, [(8, 0), (4, 0), (0, 2)]);
    for result in results {
        assert_eq!(result["samples_ns"].as_array().unwrap().len(), 2);
        assert_eq!(result["model_type"], "llama 134.52M Q8_0");
        assert_eq!(result["n_threads"], 1);
    }

    let answer =
        llamafile().args(["-m", model, "-no-cnv", "-p", "Hi", "-n", "4"]).output().unwrap();
    assert!(answer.status.success(), "{}", stderr(&answer));
    fs::remove_file(path).unwrap();
}

#[test]
fn the_default_form_is_a_table() {
    let output = llamafile()
        .arg("bench")
        .arg(crate::support::model())
        .args(["-p", "16", "-n", "0", "-r", "1"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("| model  ") && lines[0].ends_with("t/s |"), "{text}");
    assert!(lines[2].contains(" pp16 |") && lines[2].contains(" ± 0.00 |"), "{text}");
    assert!(lines[4].starts_with("build: llamafile "), "{text}");
}

#[test]
fn help_lists_flags_and_shapes() {
    let text = stdout(&run(&["--help"]));
    let of_bench = stdout(&llamafile().args(["bench", "--help"]).output().unwrap());
    assert_eq!(of_bench, stdout(&llamafile().args(["help", "bench"]).output().unwrap()));
    assert!(of_bench.contains("--n-depth N,…") && !of_bench.contains("--temp"), "{of_bench}");
    for part in ["Flags of llamafile bench", "--n-depth N,…", "llama-8b", "Q4_K_M"] {
        assert!(text.contains(part), "no \"{part}\" in: {text}");
    }
}

//! Models that embed, read whole texts, and guess for others.

use std::fs;
use std::path::PathBuf;

use fixtures::Fixture;
use serde_json::Value;

use crate::support::{folder, llamafile, model, run, stderr, stdout};

/// The file of a tiny model in a folder of its own.
fn tiny(name: &str) -> PathBuf {
    let path = folder(&format!("tiny-{name}")).join("model.gguf");
    fs::write(&path, Fixture::named(name).file()).unwrap();
    path
}

#[test]
fn texts_become_vectors_in_every_format() {
    let path = tiny("bert");
    let embed = |arguments: &[&str]| {
        let output = llamafile().args(["embed", "-m"]).arg(&path).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let json = embed(&["-p", "t104 t105\\nt106", "--embd-output-format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let data = json["data"].as_array().unwrap();
    assert_eq!(data.len(), 2);
    for entry in data {
        let values = entry["embedding"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap());
        let length: f64 = values.map(|v| v * v).sum();
        assert!((length - 1.0).abs() < 1e-4, "{length}");
    }
    let array = embed(&["t104 t105", "t106", "--embd-output-format", "array"]);
    let array: Value = serde_json::from_str(&array).unwrap();
    assert_eq!(array[1], data[1]["embedding"]);
    let text = embed(&["t104", "t104", "--pooling", "cls"]);
    assert!(text.contains("cosine similarity matrix"), "{text}");
    let causal = embed(&["t104 t105", "--attention", "causal", "--embd-output-format", "array"]);
    let causal: Value = serde_json::from_str(&causal).unwrap();
    assert_ne!(causal[0], data[0]["embedding"]);
}

#[test]
fn a_model_that_generates_embeds_too_but_not_the_other_way_round() {
    let output = run(&["embed"]);
    assert!(!output.status.success(), "a command comes first");
    let embed = ["embed", "hi", "ho", "--embd-output-format", "array", "-m"];
    let output = llamafile().args(embed).arg(model()).output().unwrap();
    let vectors: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(vectors[1].as_array().map(Vec::len), Some(576));
    assert_ne!(vectors[0], vectors[1]);
    let output = llamafile().args(["-p", "hi", "-m"]).arg(tiny("bert")).output().unwrap();
    assert!(stderr(&output).contains("llamafile embed"), "{}", stderr(&output));
}

#[test]
fn folders_of_unknown_models_are_not_converted() {
    let folder = folder("unknown");
    let convert = || {
        let out = folder.join("out.gguf");
        let output = llamafile().arg("convert").arg(&folder).arg("-o").arg(&out).output().unwrap();
        assert!(!output.status.success() && !out.exists());
        stderr(&output)
    };
    assert!(convert().contains("cannot read"));
    fs::write(folder.join("config.json"), r#"{"architectures": ["FalconForCausalLM"]}"#).unwrap();
    assert!(convert().contains("FalconForCausalLM"));
}

#[test]
fn guesses_change_no_answer() {
    let answer = |more: &[&str]| {
        let mut arguments =
            vec!["-p", "Count from 1 to 9.", "--temp", "0", "-n", "16", "--batch-invariant"];
        arguments.extend(more);
        let output = run(&arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        (stdout(&output), stderr(&output))
    };
    let (expected, _) = answer(&[]);
    let (drafted, report) = answer(&["-md", "smollm2", "--timings"]);
    assert_eq!(drafted, expected);
    assert!(report.contains("of them right"), "{report}");
    let grams = ["--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", "2"];
    assert_eq!(answer(&grams).0, expected);
}

#[test]
fn an_encoder_reads_the_prompt() {
    let output = llamafile()
        .args(["-p", "t104 t105", "-n", "4", "--temp", "0", "-no-cnv", "-m"])
        .arg(tiny("t5"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("t104 t105"), "{}", stdout(&output));
}

#[test]
fn masks_need_a_prompt_and_a_file_that_has_them() {
    let path = tiny("llada");
    let refused = |arguments: &[&str]| {
        let output = llamafile().args(arguments).arg("-m").arg(&path).output().unwrap();
        assert!(!output.status.success());
        stderr(&output)
    };
    assert!(refused(&["-p", "hi", "-no-cnv"]).contains("no masks"));
    assert!(refused(&["--chat"]).contains("holds no conversations"));
}

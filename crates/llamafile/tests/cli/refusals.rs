//! Bad input: exit code 1, the cause and a remedy, nothing on standard output.

use std::fs;
use std::path::Path;

use crate::support::{folder, llamafile, model, run, stderr, stdout};

/// Runs the command, which must refuse with an error that contains each of `parts`.
fn refuses(arguments: &[&str], parts: &[&str]) {
    let output = llamafile().args(arguments).output().unwrap();
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
    assert_eq!(stdout(&output), "", "{arguments:?}");
    assert!(error.starts_with("error: ") && error.contains("\nhint: "), "{arguments:?}: {error}");
    for part in parts {
        assert!(error.contains(part), "{arguments:?}: no \"{part}\" in: {error}");
    }
}

fn refuses_model(path: &Path, parts: &[&str]) {
    let path = path.to_str().unwrap();
    refuses(&["-m", path, "-p", "Hi"], &[&[path], parts].concat());
}

#[test]
fn model_files_that_are_none() {
    let dir = folder("refusals");
    refuses_model(&dir.join("missing.gguf"), &["no model file"]);
    refuses_model(&dir, &["directory"]);
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    refuses_model(&file("empty.gguf", b""), &["empty"]);
    refuses_model(&file("text.gguf", b"Once upon a time\n"), &["not a GGUF file", "text"]);
}

#[test]
fn truncated_model_files() {
    let whole = fs::read(model()).unwrap();
    let dir = folder("truncated");
    for length in [3, 20, 100_000, whole.len() / 2, whole.len() - 1] {
        let path = dir.join(format!("{length}.gguf"));
        fs::write(&path, &whole[..length]).unwrap();
        refuses_model(&path, &[]);
    }
}

#[test]
fn an_unknown_architecture_is_named() {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let file = [
        b"GGUF".as_slice(),
        &3u32.to_le_bytes(),
        &0u64.to_le_bytes(),
        &1u64.to_le_bytes(),
        &text("general.architecture"),
        &8u32.to_le_bytes(),
        &text("zebra"),
    ]
    .concat();
    let path = folder("architecture").join("zebra.gguf");
    fs::write(&path, file).unwrap();
    refuses_model(&path, &["architecture", "zebra"]);
}

#[test]
fn flags_out_of_range_or_unknown() {
    refuses(&["-t", "0", "-p", "Hi"], &["-t", "at least 1", "\"0\""]);
    refuses(&["--temp", "x", "-p", "Hi"], &["--temp", "expected a number", "\"x\""]);
    refuses(&["--tmep", "1"], &["--tmep", "did you mean --temp?"]);
    refuses(&["-m"], &["-m needs a value"]);
    refuses(&["--lora", "a"], &["cannot be applied yet"]);
    refuses(&["serve", "--host", "0.0.0.0"], &["--api-key", "--unsecure"]);
    refuses(&["-p", " "], &["prompt is empty"]);
    refuses(&["-f", "no/such/file"], &["no/such/file", "no such file"]);
    refuses(&["-no-cnv"], &["prompt"]);
    refuses(&["pull", "no-such-model"], &["no-such-model", "smollm2"]);
    refuses(&["bench", "-p", "0", "-n", "0"], &["nothing to measure", "-p"]);
    refuses(&["bench", "-m", "no/such.gguf"], &["no/such.gguf"]);
    refuses(&["doctor", "-m", "no/such.gguf"], &["no/such.gguf", "check the path"]);
    refuses(&["doctor", "Cargo.toml"], &["Cargo.toml", "not a GGUF file"]);
    refuses(&["-C", "xyz", "-p", "Hi"], &["-C", "hexadecimal", "\"xyz\""]);
    refuses(&["synth", "llama-2b", "-o", "x"], &["llama-2b", "did you mean llama-"]);
    refuses(&["synth", "llama-1b", "-o", "no/such/x.gguf"], &["no/such/x.gguf", "folder"]);
}

#[test]
fn processors_that_are_not_there() {
    let output = run(&["-p", "Hi", "-Cr", "500-511"]);
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("may be used") && error.contains("\nhint: "), "{error}");
}

#[test]
fn a_prompt_longer_than_the_context() {
    let output = run(&["-p", "Why is the sky blue?", "-c", "16"]);
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("holds 16") && error.contains("-c"), "{error}");
}

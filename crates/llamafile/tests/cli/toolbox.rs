//! `llamafile inspect`, `tokenize`, `split`, `merge`, `hash` and `perplexity`.

use std::fs;

use serde_json::Value;

use crate::support::{folder, llamafile, model, stderr, stdout};

fn succeeds(arguments: &[&str]) -> String {
    let output = llamafile().args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

fn refuses(arguments: &[&str], part: &str) {
    let output = llamafile().args(arguments).output().unwrap();
    let error = stderr(&output);
    assert!(!output.status.success() && error.contains(part), "{arguments:?}: {error}");
    assert!(error.contains("\nhint: "), "{error}");
}

fn file() -> &'static str {
    model().to_str().unwrap()
}

#[test]
fn a_model_is_inspected() {
    let text = succeeds(&["inspect", file()]);
    for part in ["Problems\n  none found", "blk.0 … blk.29 (each)", "gpt2 (smollm)", "180.0 MiB"]
    {
        assert!(text.contains(part), "no \"{part}\" in {text}");
    }
    assert!(!text.contains('\x1b'), "no colours in a pipe");
    let json: Value = serde_json::from_str(&succeeds(&["inspect", file(), "--json"])).unwrap();
    assert_eq!(json["tensors"].as_array().unwrap().len(), 272);
    assert_eq!(succeeds(&["inspect", file(), "--tensors"]).lines().count(), 272);
    assert_eq!(succeeds(&["inspect", file(), "--metadata", "llama.block_count"]), "30\n");
    assert!(succeeds(&["inspect", file(), "--template"]).starts_with("{% for message"));
    let page = folder("inspect").join("page.html");
    succeeds(&["inspect", file(), "--html", page.to_str().unwrap()]);
    assert!(fs::read_to_string(page).unwrap().contains("Size by layer"));
    refuses(&["inspect", file(), "--metadata", "no.key"], "there is no key no.key");
    refuses(&["inspect", "/no/such.gguf"], "no/such.gguf");
}

#[test]
fn texts_become_tokens() {
    let text = ["tokenize", "-m", file(), "-p", "Hello\\n<|im_end|>"];
    let ids = succeeds(&[&text[..], &["--ids"]].concat());
    assert!(ids.starts_with('[') && ids.ends_with(", 2]\n"), "{ids}");
    let lines = succeeds(&text);
    assert!(lines.contains(" -> 'Hello'\n") && lines.ends_with("     2 -> '<|im_end|>'\n"));
    let plain = succeeds(&[&text[..], &["--no-parse-special", "--no-escape"]].concat());
    assert!(!plain.contains("<|im_end|>") && plain.contains("\\"), "{plain}");
    refuses(&["tokenize", "-m", file(), "-f", "/no/such"], "cannot read /no/such");
}

#[test]
fn a_model_is_split_joined_and_the_same() {
    let folder = folder("split");
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let prefix = path("part");
    let plan = succeeds(&["split", "--split-max-size", "40M", "--dry-run", file(), &prefix]);
    assert_eq!((plan.lines().count(), fs::read_dir(&folder).unwrap().count()), (3, 0));
    succeeds(&["split", "--split-max-size", "40M", file(), &prefix]);
    let first = path("part-00001-of-00003.gguf");
    let whole = path("whole.gguf");
    succeeds(&["merge", &first, &whole]);
    assert!(fs::read(&whole).unwrap() == fs::read(model()).unwrap(), "the model as it was");
    refuses(&["merge", &first, &whole], "would be overwritten");
    refuses(&["merge", &whole, &path("x")], "is no split model");

    let manifest = path("manifest");
    fs::write(&manifest, succeeds(&["hash", "--sha256", &whole])).unwrap();
    assert!(succeeds(&["hash", "--check", &manifest, &whole]).ends_with("  -  Ok\n"));
    let mut damaged = fs::read(&whole).unwrap();
    let last = damaged.len() - 100;
    damaged[last] ^= 1;
    fs::write(&whole, damaged).unwrap();
    refuses(&["hash", "--check", &manifest, &whole], "2 of 273 hashes");
    refuses(&["hash", "--check", &manifest, file()], "the manifest has no hash of");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn texts_are_predicted() {
    let folder = folder("perplexity");
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/../tools/tests/data/docs.txt");
    let logits = folder.join("logits");
    let logits = logits.to_str().unwrap();
    let perplexity = ["perplexity", "-m", file(), "-c", "64", "-b", "128", "--chunks", "4"];
    let saving = ["-f", text, "--kl-divergence-base", logits];
    let found = succeeds(&[&perplexity[..], &saving].concat());
    assert!(found.starts_with("[1]") && found.contains("Final estimate: PPL = "), "{found}");
    let page = folder.join("page.html");
    let page = page.to_str().unwrap();
    let compare = ["--kl-divergence-base", logits, "--kl-divergence", "--html", page];
    let same = succeeds(&[&perplexity[..], &compare].concat());
    assert!(same.contains("Same top p: 100.000") || same.contains("Same top p: 99."), "{same}");
    assert!(fs::read_to_string(page).unwrap().contains("KL divergence by position"));
    refuses(&[&perplexity[..], &["-p", "too short"]].concat(), "expected at least 128");
    fs::remove_dir_all(folder).unwrap();
}

/// llama.cpp b11434 finds 20.9941 with `llama-perplexity -f docs.txt`.
#[test]
#[ignore = "takes a minute: run it when kernels change"]
fn the_perplexity_of_a_text_is_that_of_llama_cpp() {
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/../tools/tests/data/docs.txt");
    let found = succeeds(&["perplexity", "-m", file(), "-f", text]);
    let value = found.split("PPL = ").nth(1).and_then(|rest| rest.split(' ').next());
    let value: f64 = value.unwrap().parse().unwrap();
    assert!((value / 20.9941 - 1.0).abs() < 0.005, "{value}");
}

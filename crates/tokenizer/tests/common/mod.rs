//! Reads the cut vocabularies of `tests/data`.

use std::path::Path;

use serde_json::Value;
use tokenizer::{Error, Parts, Tokenizer};

pub const BPE: [&str; 5] = ["gpt-2", "smollm", "llama-bpe", "qwen2", "falcon"];
pub const SPM: [&str; 2] = ["llama-spm", "phi-3"];
pub const OTHERS: [&str; 7] = ["gemma4", "hybriddna", "whitespace", "bert", "t5", "rwkv", "plamo2"];

/// The keys of ids that the fixtures use.
const ID_KEYS: [&str; 6] = ["bos", "eos", "unknown", "padding", "seperator", "mask"];

pub fn read(name: &str) -> Value {
    // From the repository's root: fuzz targets use this file, too.
    let path = format!("crates/tokenizer/tests/data/{name}.json");
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let file = folders.map(|folder| folder.join(&path)).find(|file| file.is_file());
    let file = file.unwrap_or_else(|| panic!("no file {path}"));
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).expect("JSON")
}

pub fn tokenizer(name: &str) -> Tokenizer {
    build(&read(name), |_| ()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Builds the tokenizer of a file after `change`.
pub fn build<'a>(file: &'a Value, change: impl FnOnce(&mut Parts<'a>)) -> Result<Tokenizer, Error> {
    let text = |key: &str| file[key].as_str().unwrap_or_default();
    let list = |key: &str| file[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let bytes = |key: &str| list(key).iter().filter_map(Value::as_str).map(str::as_bytes).collect();
    let ids = ID_KEYS.into_iter().filter_map(|key| Some((key, number(&file["token_ids"][key])?)));
    let mut parts = Parts {
        model: text("model"),
        pre: text("pre"),
        tokens: bytes("tokens"),
        scores: list("scores").iter().filter_map(Value::as_f64).map(|x| x as f32).collect(),
        types: list("types").iter().filter_map(|x| number(x)?.try_into().ok()).collect(),
        merges: file.get("merges").map(|_| bytes("merges")),
        ids: ids.collect(),
        add_bos: file["add_bos"].as_bool(),
        add_eos: file["add_eos"].as_bool(),
        add_space_prefix: file["add_space_prefix"].as_bool(),
        remove_extra_whitespaces: file["remove_extra_whitespaces"].as_bool(),
        lowercase: file["lowercase"].as_bool(),
        precompiled_charsmap: bytes_of_hex(text("charsmap")),
        name: text("name"),
        architecture: text("architecture"),
        ..Parts::default()
    };
    change(&mut parts);
    Tokenizer::new(&parts)
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64()?.try_into().ok()
}

fn bytes_of_hex(digits: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

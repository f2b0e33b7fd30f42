//! Fixtures of the tests.
#![allow(dead_code)]

pub mod answers;

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::{Map, Value};

/// 2026-11-21, as in the fixtures.
pub const NOW: i64 = 1_795_267_505;

fn bytes(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn read(name: &str) -> String {
    let bytes = bytes(name);
    if !name.ends_with(".gz") {
        return String::from_utf8(bytes).expect("a text");
    }
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).expect("a text");
    text
}

pub fn object(name: &str) -> Map<String, Value> {
    serde_json::from_str(&read(name)).expect("a JSON object")
}

/// Published templates by name.
pub fn templates() -> BTreeMap<String, String> {
    serde_json::from_str(&read("templates.json.gz")).expect("names and texts")
}

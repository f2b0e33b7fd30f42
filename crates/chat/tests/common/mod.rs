//! Fixtures of the tests.
#![allow(dead_code)]

pub mod answers;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

/// 2026-11-21, as in the fixtures.
pub const NOW: i64 = 1_795_267_505;

fn bytes(name: &str) -> Vec<u8> {
    // From the repository's root: fuzz targets use this file, too.
    let path = format!("crates/chat/tests/data/{name}");
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let file = folders.map(|folder| folder.join(&path)).find(|file| file.is_file());
    let file = file.unwrap_or_else(|| panic!("no file {path}"));
    std::fs::read(file).unwrap_or_else(|error| panic!("{path}: {error}"))
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

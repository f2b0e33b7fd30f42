//! `docs/architectures.md` says what the code does. `UPDATE_DOCS=1 cargo test -p model --test
//! document` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use fixtures::Fixture;
use gguf::Gguf;
use model::{Model, OutputKind};

const INTRODUCTION: &str = "# Architectures

What `general.architecture` may be. This page is made by a test (`crates/model/tests/document.rs`)
from the code and from tiny models of each architecture, whose outputs are compared with llama.cpp's
on both backends.

- *Family*: the file in `crates/model/src/arch`, whose first lines name the model and its paper.
- *Memory*: what is kept of the text so far. Models of *whole texts* see later positions too, so
  that a text is one batch.
- *Features*: what the tiny models have; the code may know more.
- *Tested*: the number of tiny models.

";

/// A feature, and the parts of names of tensors or keys that tell of it.
const FEATURES: [(&str, &[&str]); 18] = [
    ("latent attention", &["attn_kv_a_mqa"]),
    ("sliding window", &["attention.sliding_window"]),
    ("normed queries and keys", &["attn_q_norm", "attn_q_a_norm"]),
    ("gated attention", &["attn_gate"]),
    ("sinks", &["attn_sinks"]),
    ("soft limits", &["softcapping"]),
    ("biases by distance", &["attn_rel_b"]),
    ("cross-attention", &["cross_attn"]),
    ("YaRN", &["yarn"]),
    ("frequency factors", &["rope_freqs", "rope_factors"]),
    ("sections of positions", &["dimension_sections"]),
    ("learned positions", &["position_embd"]),
    ("experts", &["ffn_gate_inp"]),
    ("shared expert", &["_shexp"]),
    ("chosen keys", &["indexer"]),
    ("embeddings per layer", &["per_layer_token_embd"]),
    ("norms after blocks", &["post_attention_norm", "attn_output_norm"]),
    ("classifier", &["cls."]),
];

/// What the page says of one architecture.
#[derive(Default)]
struct Row {
    memory: Vec<&'static str>,
    output: Vec<&'static str>,
    features: Vec<&'static str>,
    n_tested: usize,
}

impl Row {
    fn add(&mut self, gguf: &Gguf, model: &dyn Model) {
        let shape = model.shape();
        let has_states = shape.states.iter().any(|states| !states.is_empty());
        let has_keys = shape.kv.iter().any(|kv| kv.n_head_kv > 0);
        for (name, is_so) in [
            ("keys and values", has_keys && model.is_causal()),
            ("states", has_states),
            ("target's keys and values", !model.target_layers().is_empty()),
            ("encoder's keys and values", model.encoder().is_some()),
            ("whole texts", !model.is_causal()),
        ] {
            add(&mut self.memory, name, is_so);
        }
        let is_logits = shape.output == OutputKind::Logits;
        add(&mut self.output, "logits", is_logits);
        add(&mut self.output, "embeddings", !is_logits);
        let names = || {
            let tensors = gguf.tensors().iter().map(|tensor| tensor.name.as_str());
            tensors.chain(gguf.metadata().iter().map(|(key, _)| key))
        };
        for (feature, parts) in FEATURES {
            let is_so = names().any(|name| parts.iter().any(|part| name.contains(part)));
            add(&mut self.features, feature, is_so);
        }
        self.n_tested += 1;
    }
}

fn add(to: &mut Vec<&'static str>, name: &'static str, is_so: bool) {
    if is_so && !to.contains(&name) {
        to.push(name);
    }
}

/// The file that each architecture's row in `arch/mod.rs` points to.
fn files(src: &Path) -> BTreeMap<String, String> {
    let source = fs::read_to_string(src.join("arch/mod.rs")).expect("the table of architectures");
    let row = |line: &str| {
        let (name, loader) = line.trim().strip_prefix("(\"")?.split_once("\", ")?;
        Some((name.to_owned(), loader.split_once("::")?.0.to_owned()))
    };
    source.lines().filter_map(row).collect()
}

#[test]
fn the_page_of_architectures_is_up_to_date() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let files = files(&root.join("src"));
    let mut rows: BTreeMap<&str, Row> =
        model::supported().map(|name| (name, Row::default())).collect();
    for fixture in Fixture::every() {
        let gguf = fixture.model();
        let arch = gguf.metadata().str("general.architecture").expect("a name");
        let model = model::load(&gguf).expect("the fixture loads");
        rows.get_mut(arch).expect("a supported name").add(&gguf, &*model);
    }
    let mut page = INTRODUCTION.to_owned();
    page += "| Architecture | Family | Memory | Output | Features | Tested |\n";
    page += "| --- | --- | --- | --- | --- | ---: |\n";
    for (name, row) in &rows {
        let [memory, output, features] =
            [&row.memory, &row.output, &row.features].map(|list| list.join(", "));
        let file = &files[*name];
        let tested = row.n_tested;
        writeln!(page, "| `{name}` | `{file}` | {memory} | {output} | {features} | {tested} |")
            .expect("memory");
    }
    let n_tested: usize = rows.values().map(|row| row.n_tested).sum();
    writeln!(page, "\n{} architectures, {n_tested} tiny models.", rows.len()).expect("memory");
    let missing = Fixture::missing_architectures();
    if !missing.is_empty() {
        writeln!(page, "\nMissing, of those that llama.cpp b11434 runs: {}.", missing.join(", "))
            .expect("memory");
    }
    let path = root.join("../../docs/architectures.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).expect("the page can be written");
    }
    let found = fs::read_to_string(&path).expect("the page");
    assert!(found == page, "docs/architectures.md is out of date; see {}", file!());
}

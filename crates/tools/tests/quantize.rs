//! Quantising small models, compared with what llama.cpp's `llama-quantize` b11434 made of the same
//! files; see `data/quantize/README.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use gguf::{Gguf, Writer};
use quant::TensorType;
use tools::imatrix_file::{Entry, ImatrixFile};
use tools::quantize::{
    self, Error, Importance, Options, Override, Planned, Replacement, Selection, TARGETS, Target,
};

/// A model as small as its architecture allows.
struct Model {
    name: &'static str,
    architecture: &'static str,
    layers: usize,
    embd: usize,
    ff: usize,
    heads: usize,
    kv_heads: usize,
    experts: usize,
    /// Has a matrix of its own for the output.
    output: bool,
}

const LLAMA: Model = Model {
    name: "llama",
    architecture: "llama",
    layers: 16,
    embd: 256,
    ff: 512,
    heads: 8,
    kv_heads: 2,
    experts: 0,
    output: true,
};

const MODELS: &[Model] = &[
    LLAMA,
    Model { name: "tied", kv_heads: 8, layers: 10, output: false, ..LLAMA },
    Model { name: "fallback", embd: 320, ff: 96, kv_heads: 8, layers: 9, ..LLAMA },
    Model { name: "odd", embd: 64, ff: 40, heads: 2, kv_heads: 2, layers: 3, ..LLAMA },
    Model { name: "seventy", layers: 80, ..LLAMA },
    Model { name: "eight", experts: 8, layers: 17, ..LLAMA },
    Model { name: "sixteen", experts: 16, kv_heads: 8, layers: 9, output: false, ..LLAMA },
    Model { name: "falcon", architecture: "falcon", kv_heads: 1, layers: 33, ..LLAMA },
    Model { name: "gpt2", architecture: "gpt2", kv_heads: 8, layers: 12, ..LLAMA },
];

impl Model {
    /// Names and shapes.
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (embd, ff, experts) = (self.embd, self.ff, self.experts);
        let kv = embd / self.heads * self.kv_heads;
        let mut tensors = vec![
            ("token_embd.weight".to_owned(), vec![embd, 4]),
            ("output_norm.weight".to_owned(), vec![embd]),
        ];
        if self.output {
            tensors.push(("output.weight".to_owned(), vec![embd, 4]));
        }
        if self.architecture == "gpt2" {
            tensors.push(("position_embd.weight".to_owned(), vec![embd, 4]));
        }
        for il in 0..self.layers {
            let mut put = |name: &str, shape: &[usize]| {
                tensors.push((format!("blk.{il}.{name}"), shape.to_vec()));
            };
            put("attn_norm.weight", &[embd]);
            if self.architecture == "llama" {
                put("attn_q.weight", &[embd, embd]);
                put("attn_k.weight", &[embd, kv]);
                put("attn_v.weight", &[embd, kv]);
                put("ffn_norm.weight", &[embd]);
            } else {
                put("attn_qkv.weight", &[embd, embd + 2 * kv]);
                put("attn_qkv.bias", &[embd + 2 * kv]);
            }
            put("attn_output.weight", &[embd, embd]);
            if experts > 0 {
                put("ffn_gate_inp.weight", &[embd, experts]);
                put("ffn_gate_exps.weight", &[embd, ff, experts]);
                put("ffn_up_exps.weight", &[embd, ff, experts]);
                put("ffn_down_exps.weight", &[ff, embd, experts]);
                continue;
            }
            if self.architecture == "llama" {
                put("ffn_gate.weight", &[embd, ff]);
            }
            put("ffn_up.weight", &[embd, ff]);
            put("ffn_down.weight", &[ff, embd]);
        }
        tensors
    }

    /// Writes the model with the values that `value` gives for the name and place of each.
    fn write(&self, path: &Path, value: impl Fn(&str, usize) -> f32) {
        let mut writer = Writer::new();
        let arch = self.architecture;
        writer.put("general.architecture", arch).unwrap();
        writer.put("general.file_type", 1u32).unwrap();
        let mut put = |key: &str, size: usize| {
            writer.put(&format!("{arch}.{key}"), size as u32).unwrap();
        };
        put("vocab_size", 4);
        put("context_length", 64);
        put("embedding_length", self.embd);
        put("block_count", self.layers);
        put("feed_forward_length", self.ff);
        put("attention.head_count", self.heads);
        put("attention.head_count_kv", self.kv_heads);
        if self.experts > 0 {
            put("expert_count", self.experts);
            put("expert_used_count", 2);
        }
        let norm = if arch == "llama" { "layer_norm_rms_epsilon" } else { "layer_norm_epsilon" };
        writer.put(&format!("{arch}.attention.{norm}"), 1e-5f32).unwrap();
        for (name, shape) in self.tensors() {
            let ty = if shape.len() == 1 { TensorType::F32 } else { TensorType::F16 };
            let values: Vec<f32> =
                (0..shape.iter().product()).map(|i| value(&name, i)).collect();
            let mut bytes = vec![0; ty.row_bytes(values.len()).unwrap()];
            ty.info().encode.unwrap()(&values, None, &mut bytes);
            writer.tensor(&name, ty, &shape, move |out| out.write_all(&bytes)).unwrap();
        }
        writer.finish(&mut fs::File::create(path).unwrap()).unwrap();
    }
}

/// Weights that differ by tensor and are spread as real ones are.
fn weight(name: &str, i: usize) -> f32 {
    let seed = name.bytes().fold(1u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let mut state = seed.wrapping_add(i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let parts = (0..4).map(|part| f32::from((state >> (16 * part)) as i16) / 65536.0);
    0.05 * parts.sum::<f32>()
}

/// Importance for all matrices of a model, per expert.
fn importance(model: &Model) -> ImatrixFile {
    let entries = model.tensors().into_iter().filter(|(_, shape)| shape.len() > 1);
    let entries = entries.map(|(name, shape)| {
        let experts = shape.get(2).copied().unwrap_or(1);
        let squares = (0..shape[0] * experts).map(|i| 1.0 + (37 * i % 64) as f32 / 16.0).collect();
        // One expert in seven saw nothing.
        let counts = (0..experts as u64).map(|expert| if expert % 7 == 5 { 0 } else { 4 });
        (name, Entry { squares, sums: None, counts: counts.collect() })
    });
    let datasets = vec!["text.txt".to_owned()];
    ImatrixFile { entries: entries.collect(), datasets, chunk_count: 3, chunk_size: 512 }
}

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("quantize-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn target(name: &str) -> &'static Target {
    Target::named(name).unwrap()
}

fn data(name: &str) -> String {
    let path = format!("{}/tests/data/quantize/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(path).unwrap()
}

/// Types of tensors with the same name but for the layer, in the order of layers, equal ones counted.
fn describe<'a>(types: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut by_name: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
    for (name, ty) in types {
        let kind = match name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
            Some((_, kind)) => kind,
            None => name,
        };
        let runs = by_name.entry(kind.to_owned()).or_default();
        match runs.last_mut().filter(|(last, _)| *last == ty) {
            Some((_, count)) => *count += 1,
            None => runs.push((ty, 1)),
        }
    }
    let mut text = String::new();
    for (kind, runs) in by_name {
        let _ = write!(text, " {}=", kind.trim_end_matches(".weight"));
        let runs: Vec<String> = runs.iter().map(|(ty, n)| format!("{ty}*{n}")).collect();
        text.push_str(&runs.join(","));
    }
    text
}

/// As [`describe`], of matrices only; others keep their type.
fn describe_plan(tensors: &[Planned]) -> String {
    let matrices = tensors.iter().filter(|tensor| tensor.shape.len() > 1);
    describe(matrices.map(|tensor| (tensor.name.as_str(), tensor.to.to_string())))
}

#[test]
fn types_are_those_of_llama_cpp_for_every_target() {
    let folder = Folder::new("types");
    let recorded = data("types.txt");
    let mut lines = recorded.lines();
    for model in MODELS {
        let path = folder.file(model.name);
        model.write(&path, |_, _| 0.0);
        let imatrix = importance(model);
        for target in TARGETS {
            for with in ["without", "with"] {
                let importance = Importance::new("i", &imatrix, &Selection::All).unwrap();
                let importance = (with == "with").then_some(importance);
                let options = Options { importance, ..Options::new(target) };
                let head = format!("{} {} {with}:", model.name, target.name);
                let found = match quantize::plan(&path, &options) {
                    Ok(tensors) => format!("{head}{}", describe_plan(&tensors)),
                    Err(Error::Row { .. }) => format!("{head} refused"),
                    Err(error) => panic!("{head} {error}"),
                };
                assert_eq!(Some(found.as_str()), lines.next());
            }
        }
    }
    assert_eq!(lines.next(), None);
}

/// Writes the models of these tests to the folder that `MODELS_TO` names, for `data/quantize/record`.
#[test]
#[ignore = "for recording"]
fn models_are_written_to_be_recorded() {
    let folder = PathBuf::from(std::env::var_os("MODELS_TO").unwrap());
    for model in MODELS {
        model.write(&folder.join(format!("{}.gguf", model.name)), |_, _| 0.0);
        importance(model).write(&folder.join(format!("{}.imatrix", model.name))).unwrap();
    }
    for (name, model) in FILLED {
        model.write(&folder.join(format!("{name}.gguf")), weight);
        importance(model).write(&folder.join(format!("{name}.imatrix"))).unwrap();
    }
}

/// Models with weights.
const FILLED: &[(&str, Model)] = &[
    ("dense", Model { layers: 2, ..LLAMA }),
    ("experts", Model { layers: 1, experts: 7, output: false, ff: 96, ..LLAMA }),
];

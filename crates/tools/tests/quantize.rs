//! Quantising small models, compared with what llama.cpp's `llama-quantize` b11434 made of the same
//! files; see `data/quantize/README.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use gguf::{Gguf, Writer};
use quant::TensorType;
use sha2::{Digest, Sha256};
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
    Model { name: "seventy", layers: 80, ff: 256, ..LLAMA },
    Model { name: "eight", experts: 8, layers: 9, ff: 256, ..LLAMA },
    Model {
        name: "sixteen",
        experts: 16,
        kv_heads: 8,
        layers: 8,
        ff: 256,
        embd: 128,
        output: false,
        ..LLAMA
    },
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
            let values: Vec<f32> = (0..shape.iter().product()).map(|i| value(&name, i)).collect();
            let mut bytes = vec![0; ty.row_bytes(values.len()).unwrap()];
            ty.info().encode.unwrap()(&values, None, &mut bytes);
            writer.tensor(&name, ty, &shape, move |out| out.write_all(&bytes)).unwrap();
        }
        writer.finish(&mut fs::File::create(path).unwrap()).unwrap();
    }
}

/// Weights that differ by tensor and are spread as real ones are.
fn weight(name: &str, i: usize) -> f32 {
    let seed =
        name.bytes().fold(1u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
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
        fs::remove_file(path).unwrap();
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

/// What is written for these options, with the importance matrix of the model under the name that
/// was recorded.
fn quantised(folder: &Folder, options: &Options) -> Result<Vec<u8>, Error> {
    let out = folder.file("out.gguf");
    let mut last = (0, 1);
    quantize::run(&folder.file("in.gguf"), &out, options, &mut |done, total| last = (done, total))?;
    assert_eq!(last.0, last.1, "progress ends at the end");
    Ok(fs::read(out).unwrap())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Targets of which a few blocks differ: their encoders search a lattice, and do so a bit otherwise.
/// Fixtures of the crate `quant` bound the error.
const DIFFERENT: [&str; 3] = ["IQ1_S", "IQ1_M", "IQ2_XXS"];

#[test]
fn files_are_those_of_llama_cpp_byte_for_byte() {
    let folder = Folder::new("bytes");
    let recorded = data("hashes.txt");
    let mut lines = recorded.lines();
    for (name, model) in FILLED {
        model.write(&folder.file("in.gguf"), weight);
        let imatrix = importance(model);
        for target in TARGETS {
            for with in ["without", "with"] {
                let source = format!("{name}.imatrix");
                let importance = Importance::new(&source, &imatrix, &Selection::All).unwrap();
                let importance = (with == "with").then_some(importance);
                let threads = NonZero::new(2);
                let options = Options { importance, threads, ..Options::new(target) };
                let found = match quantised(&folder, &options) {
                    Ok(bytes) => sha256(&bytes),
                    Err(Error::NeedsImportance { .. } | Error::Row { .. }) => "refused".into(),
                    Err(error) => panic!("{name} {} {with} {error}", target.name),
                };
                let found = format!("{name} {} {with} {found}", target.name);
                let line = lines.next();
                if DIFFERENT.contains(&target.name) && with == "with" {
                    continue;
                }
                assert_eq!(Some(found.as_str()), line);
            }
        }
    }
    assert_eq!(lines.next(), None);
}

/// Options by the names under which `record` has them.
fn named_options(name: &str) -> Options {
    let over = |text: &str| Override::parse(text).unwrap();
    let selected = |selection: Selection| {
        Importance::new("dense.imatrix", &importance(&FILLED[0].1), &selection).ok()
    };
    let plain = Options::new(target("Q4_K_M"));
    match name {
        "pure" => Options { pure: true, ..plain },
        "leave" => Options { leave_output: true, ..plain },
        "output" => Options {
            output_type: Some(TensorType::Q8_0),
            embedding_type: Some(TensorType::F16),
            ..plain
        },
        "patterns" => {
            let overrides = vec![over("attn_[qk]=q8_0"), over("BLK.1.ffn=Q5_1")];
            Options { overrides, ..plain }
        }
        "prune" => Options { prune: [0].into(), ..plain },
        "metadata" => {
            let metadata = [
                ("some.number", Replacement::Integer(5)),
                ("general.architecture", Replacement::Text("llama".into())),
                ("some.flag", Replacement::Bool(true)),
            ];
            let metadata = metadata.map(|(key, value)| (key.to_owned(), value)).to_vec();
            Options { metadata, ..plain }
        }
        "include" => {
            Options { importance: selected(Selection::Only(vec!["ffn_up".into()])), ..plain }
        }
        "exclude" => {
            Options { importance: selected(Selection::AllBut(vec!["ffn_up".into()])), ..plain }
        }
        _ => panic!("{name} is not known"),
    }
}

#[test]
fn options_do_what_they_do_in_llama_cpp() {
    let folder = Folder::new("options");
    FILLED[0].1.write(&folder.file("in.gguf"), weight);
    let recorded = data("options.txt");
    for line in recorded.lines() {
        let name = line.split(' ').next().unwrap();
        let bytes = quantised(&folder, &named_options(name)).unwrap();
        assert_eq!(format!("{name} {}", sha256(&bytes)), line);
    }
    assert_eq!(recorded.lines().count(), 8);
}

/// Cuts a model in two files.
fn split(folder: &Folder) {
    let whole = Gguf::open(&folder.file("in.gguf")).unwrap();
    let all = whole.tensors();
    for (no, part) in [&all[..7], &all[7..]].into_iter().enumerate() {
        let mut writer = Writer::new();
        if no == 0 {
            whole.metadata().iter().for_each(|(key, value)| writer.put(key, value).unwrap());
        }
        writer.put("split.no", no as u16).unwrap();
        writer.put("split.count", 2u16).unwrap();
        writer.put("split.tensors.count", all.len() as i32).unwrap();
        for tensor in part {
            let data = whole.data(tensor);
            writer
                .tensor(&tensor.name, tensor.ty, &tensor.shape, move |out| out.write_all(&data))
                .unwrap();
        }
        let path = folder.file(&format!("part-{:05}-of-00002.gguf", no + 1));
        writer.finish(&mut fs::File::create(path).unwrap()).unwrap();
    }
}

#[test]
fn shards_are_joined_or_kept() {
    let folder = Folder::new("shards");
    FILLED[0].1.write(&folder.file("in.gguf"), weight);
    split(&folder);
    let whole = quantised(&folder, &Options::new(target("Q4_0"))).unwrap();
    let part = folder.file("part-00001-of-00002.gguf");
    let run = |out: &str, keep_split| {
        let options = Options { keep_split, ..Options::new(target("Q4_0")) };
        quantize::run(&part, &folder.file(out), &options, &mut |_, _| {})
    };
    run("joined.gguf", false).unwrap();
    assert!(fs::read(folder.file("joined.gguf")).unwrap() == whole);
    run("kept.gguf", true).unwrap();
    let kept = Gguf::open(&folder.file("kept-00002-of-00002.gguf")).unwrap();
    let joined = Gguf::open(&folder.file("joined.gguf")).unwrap();
    assert_eq!(kept.paths().len(), 2);
    for tensor in joined.tensors() {
        let same = kept.tensor(&tensor.name).unwrap();
        assert_eq!((same.ty, &same.shape), (tensor.ty, &tensor.shape));
        assert!(kept.data(same) == joined.data(tensor), "{}", tensor.name);
    }
    let error = run("part.gguf", true).unwrap_err();
    assert!(matches!(error, Error::SameFile { .. }), "{error}");
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let folder = Folder::new("threads");
    FILLED[1].1.write(&folder.file("in.gguf"), weight);
    let with = |threads| {
        let options = Options { threads: NonZero::new(threads), ..Options::new(target("Q5_K_M")) };
        quantised(&folder, &options).unwrap()
    };
    assert!(with(1) == with(5));
}

#[test]
fn what_can_not_be_quantised_is_refused_by_name() {
    let folder = Folder::new("refused");
    let path = folder.file("in.gguf");
    let refused = |options: &Options| {
        let error = quantised(&folder, options).unwrap_err();
        assert!(!folder.file("out.gguf").exists() && !folder.file("out.gguf.part").exists());
        error.to_string()
    };
    let model = &FILLED[0].1;
    for (value, words) in [(f32::NAN, "NaN"), (f32::NEG_INFINITY, "-inf")] {
        let spoilt = |name: &str, i| match (name, i) {
            ("blk.1.ffn_up.weight", 70_000) => value,
            _ => weight(name, i),
        };
        model.write(&path, spoilt);
        for name in ["Q4_K_M", "COPY"] {
            let error = refused(&Options::new(target(name)));
            assert!(error.contains("blk.1.ffn_up.weight") && error.contains(words), "{error}");
        }
    }
    let large = |name: &str, i| if name.contains("norm") { 1e6 } else { weight(name, i) };
    model.write(&path, large);
    assert!(quantised(&folder, &Options::new(target("Q8_0"))).is_ok(), "norms are kept");
    fs::remove_file(folder.file("out.gguf")).unwrap();

    model.write(&path, weight);
    let error = refused(&Options::new(target("IQ2_XS")));
    assert!(error.contains("blk.0.attn_k.weight") && error.contains("importance"), "{error}");
    let mut imatrix = importance(model);
    imatrix.entries.get_mut("blk.0.ffn_up.weight").unwrap().squares.push(1.0);
    let error = {
        let importance = Importance::new("i", &imatrix, &Selection::All).ok();
        refused(&Options { importance, ..Options::new(target("Q4_K_M")) })
    };
    assert!(error.contains("257 values for tensor blk.0.ffn_up.weight"), "{error}");
    imatrix.entries.get_mut("blk.0.ffn_up.weight").unwrap().squares[3] = f32::NAN;
    let error = Importance::new("i", &imatrix, &Selection::All).unwrap_err().to_string();
    assert!(error.contains("NaN for tensor blk.0.ffn_up.weight"), "{error}");

    let small = quantised(&folder, &Options::new(target("Q4_0"))).unwrap();
    fs::remove_file(folder.file("out.gguf")).unwrap();
    fs::write(&path, &small).unwrap();
    assert!(refused(&Options::new(target("Q8_0"))).contains("output.weight is q6_K already"));
    let again = Options { allow_requantise: true, ..Options::new(target("Q8_0")) };
    assert!(quantised(&folder, &again).is_ok());
    let same = quantize::run(&path, &path, &again, &mut |_, _| {}).unwrap_err();
    assert!(matches!(same, Error::SameFile { .. }), "{same}");
    assert!(fs::read(&path).unwrap() == small);
}

#[test]
fn weights_beyond_the_range_of_a_type_are_refused() {
    let folder = Folder::new("range");
    let mut writer = Writer::new();
    writer.put("general.architecture", "llama").unwrap();
    let values: Vec<u8> = [1f32, 1e6].repeat(128).iter().flat_map(|v| v.to_le_bytes()).collect();
    let put = move |out: &mut dyn std::io::Write| out.write_all(&values);
    writer.tensor("blk.0.attn_q.weight", TensorType::F32, &[128, 2], put).unwrap();
    writer.finish(&mut fs::File::create(folder.file("in.gguf")).unwrap()).unwrap();
    for name in ["F16", "Q8_0", "BF16"] {
        let found = quantised(&folder, &Options::new(target(name)));
        match name {
            // 1e6 / 127 is within the range of its scale.
            "Q8_0" | "BF16" => assert!(found.is_ok(), "{name}"),
            _ => {
                let error = found.unwrap_err().to_string();
                assert!(error.contains("up to 1000000, too large for f16"), "{error}");
            }
        }
    }
}

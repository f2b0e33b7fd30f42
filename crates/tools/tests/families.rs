//! Small models that the library `transformers` wrote, converted: they answer as it does, and make the
//! same tokens of texts. `data/convert/record` makes them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use backend::KvType;
use cpu::{Cpu, CpuOptions};
use fixtures::nmse;
use gguf::{Gguf, Location};
use model::{Context, Outputs};
use serde::Deserialize;
use serde_json::{Value, json};
use tokenizer::Tokenizer;
use tools::convert::{Options, Precision, convert};
use tools::quantize::{self, Target, TensorType};

/// All of them.
const MODELS: [&str; 13] = [
    "llama2", "llama3", "mistral", "mixtral", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "gemma2",
    "gemma3", "longrope", "phi4", "bert",
];

/// What is stored of every so many positions.
const STEP: usize = 8;

#[derive(Deserialize)]
struct Expected {
    tokens: Vec<u32>,
    texts: Vec<(String, Vec<u32>)>,
}

fn data(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/convert").join(model)
}

fn expected(model: &str) -> Expected {
    let json = fs::read(data(model).join("expected.json")).expect("a file");
    serde_json::from_slice(&json).expect("what was expected")
}

/// The model file of one of them, in memory.
fn converted(model: &str, precision: Precision) -> Gguf {
    let name = format!("llamafile-{model}-{}-{}", precision.name(), std::process::id());
    let out = env::temp_dir().join(name);
    let options = Options { precision, ..Options::default() };
    convert(&data(model), &out, &options, &mut |_, _| {}).expect(model);
    let gguf = Location::from(out.clone()).open().expect("a valid file");
    fs::remove_file(out).expect("it is ours");
    gguf
}

/// What the model answers, to compare with what is stored.
fn answer(gguf: &Gguf, tokens: &[u32]) -> Vec<f32> {
    let cpu = Cpu::new(CpuOptions { threads: Some(2), ..<_>::default() });
    let model = model::load(gguf).expect("the model loads");
    let mut context = Context::new(model, Box::new(cpu), 64, KvType::F32).expect("memory");
    if gguf.metadata().str("general.architecture").expect("it has one") == "bert" {
        return context.embed(tokens, None).expect("a text");
    }
    let logits = context.decode(tokens, Outputs::All).expect("a batch");
    let width = logits.len() / tokens.len();
    let positions = logits.chunks(width).skip(STEP - 1).step_by(STEP);
    positions.flatten().copied().collect()
}

#[test]
fn models_answer_as_transformers_does() {
    for model in MODELS {
        let tokens = expected(model).tokens;
        let logits = fs::read(data(model).join("expected.logits")).expect("a file");
        let logits: Vec<f32> =
            logits.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        // GELU is that of llama.cpp, a table of 16-bit floats. Products with BF16 round the other factor
        // to it, too.
        for (precision, limit) in
            [(Precision::F32, 1e-6), (Precision::F16, 1e-4), (Precision::BF16, 1e-3)]
        {
            let found = answer(&converted(model, precision), &tokens);
            let error = nmse(&logits, &found);
            println!("{model} {}: {error:.1e}", precision.name());
            assert!(error < limit, "{model} {}: {error:.1e}", precision.name());
        }
    }
}

#[test]
fn texts_have_the_same_tokens() {
    for model in MODELS {
        let gguf = converted(model, Precision::Auto);
        let tokenizer = Tokenizer::from_metadata(gguf.metadata()).expect("a tokenizer");
        for (text, ids) in expected(model).texts {
            assert_eq!(tokenizer.encode(&text, true, true), ids, "{model}: {text:?}");
        }
    }
}

#[test]
fn a_folder_is_quantised_as_its_model_file_is() {
    let temporary = |name: &str| env::temp_dir().join(format!("{name}-{}", std::process::id()));
    let (whole, small) = (temporary("llamafile-whole"), temporary("llamafile-small"));
    let options = Options { precision: Precision::F32, ..Options::default() };
    let target = Target::named("Q8_0").expect("a target");
    for model in ["llama2", "gemma3", "mixtral"] {
        convert(&data(model), &whole, &options, &mut |_, _| {}).expect(model);
        let [direct, by_file] = [&data(model), &whole].map(|input| {
            let options = quantize::Options::new(target);
            quantize::run(input, &small, &options, &mut |_, _| {}).expect(model);
            fs::read(&small).expect("a file")
        });
        assert!(direct == by_file, "{model}");
    }
    for path in [whole, small] {
        fs::remove_file(path).expect("it is ours");
    }
}

#[test]
fn matrices_become_what_is_asked_for() {
    let types = |model: &str, precision| {
        let gguf = converted(model, precision);
        ["token_embd.weight", "blk.0.attn_q.weight", "blk.0.attn_norm.weight"]
            .map(|name| gguf.tensor(name).expect("a tensor").ty)
    };
    use TensorType::{BF16, F16, F32, Q8_0};
    assert_eq!(types("qwen3", Precision::Auto), [BF16, BF16, F32]);
    assert_eq!(types("mistral", Precision::Auto), [F16, F16, F32]);
    assert_eq!(types("qwen3", Precision::Q8_0), [Q8_0, Q8_0, F32]);
    assert_eq!(types("qwen3", Precision::F32), [F32, F32, F32]);
}

/// A folder that is removed in the end, with files of a model.
struct Copy(PathBuf);

impl Copy {
    fn of(model: &str) -> Self {
        let path = env::temp_dir().join(format!("llamafile-{model}-copy-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        for file in fs::read_dir(data(model)).expect("a folder") {
            let file = file.expect("a file");
            fs::copy(file.path(), path.join(file.file_name())).expect("room");
        }
        Self(path)
    }

    /// Changes a file of JSON.
    fn change(&self, file: &str, change: impl FnOnce(&mut Value)) {
        let path = self.0.join(file);
        let mut value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
        change(&mut value);
        fs::write(path, value.to_string()).expect("room");
    }

    /// Changes the header of the weights.
    fn change_header(&self, change: impl FnOnce(&mut Value)) {
        let path = self.0.join("model.safetensors");
        let file = fs::read(&path).expect("a file");
        let (length, rest) = file.split_first_chunk::<8>().expect("a length");
        let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
        let mut value = serde_json::from_slice(header).expect("JSON");
        change(&mut value);
        let header = value.to_string();
        let length = (header.len() as u64).to_le_bytes();
        fs::write(path, [&length, header.as_bytes(), data].concat()).expect("room");
    }

    fn refusal(&self, pre_tokenizer: Option<&str>) -> String {
        let pre_tokenizer = pre_tokenizer.map(str::to_owned);
        let options = Options { pre_tokenizer, ..Options::default() };
        let out = self.0.join("out");
        let error = convert(&self.0, &out, &options, &mut |_, _| {}).expect_err("an error");
        error.to_string()
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn damaged_folders_are_refused() {
    const QUERY: &str = "model.layers.1.self_attn.q_proj.weight";
    let header = |change: fn(&mut Value), expected: &str| {
        let folder = Copy::of("qwen2");
        folder.change_header(change);
        let refusal = folder.refusal(None);
        assert!(refusal.contains(expected), "{refusal}; expected {expected}");
    };
    header(|all| all[QUERY]["data_offsets"] = json!([0, 2048]), "share bytes");
    header(|all| all[QUERY]["data_offsets"][1] = json!(1u64 << 60), "expected bytes up to");
    header(|all| all[QUERY]["shape"] = json!([1u64 << 40, 1u64 << 40]), "ask for");
    header(|all| all[QUERY]["shape"] = json!([0, 1u64 << 63]), "ask for");
    header(|all| all[QUERY]["shape"] = json!([-1]), "expected dtype, shape and data_offsets");
    header(|all| all[QUERY]["dtype"] = json!("I16"), "q_proj.weight is I16; expected F32, F16 or");
    header(|all| all["odd"] = all[QUERY].clone(), "share bytes");
    header(
        |all| {
            all["odd"] = json!({"dtype": "F32", "shape": [0], "data_offsets": [0, 0]});
        },
        "tensor odd; expected no such one in a qwen2 model",
    );
    header(
        |all| drop(all.as_object_mut().map(|all| all.remove(QUERY))),
        "no tensor model.layers.1",
    );

    let config = |key: &str, value: Value, expected: &str| {
        let folder = Copy::of("mixtral");
        folder.change("config.json", |config| config[key] = value);
        let refusal = folder.refusal(None);
        assert!(refusal.contains(expected), "{refusal}; expected {expected}");
    };
    config("num_attention_heads", json!(0), "num_attention_heads is 0; expected a positive");
    config("num_attention_heads", json!(7), "rows; expected an even number for each of 7 heads");
    config("num_key_value_heads", json!(3), "expected an even number for each of 3 heads");
    config("num_hidden_layers", json!(u32::MAX), "no tensor model.layers.2.");
    config("num_local_experts", json!(u32::MAX), "no tensor model.layers.0.block_sparse_moe");
    config("vocab_size", json!(1e9), "expected at most 320, the embedding's rows");
    config("hidden_size", json!("x"), "hidden_size is \"x\"; expected a positive number");
    config("rms_norm_eps", Value::Null, "no rms_norm_eps; expected a number");
    config("quantization_config", json!({"quant_method": "fp8"}), "weights quantised by fp8");
    config(
        "rope_parameters",
        json!({"rope_type": "odd"}),
        "rope_type is \"odd\"; expected default",
    );

    let folder = Copy::of("llama3");
    folder.change("model.safetensors.index.json", |index| {
        index["weight_map"]["model.norm.weight"] = json!("../model.safetensors");
    });
    assert!(folder.refusal(None).contains("expected the name of a file of the folder"));

    let folder = Copy::of("qwen2");
    assert!(
        folder.refusal(Some("odd")).contains("no pre-tokenizer 'odd'; expected one of default")
    );
    folder.change("tokenizer.json", |json| json["pre_tokenizer"] = json!({"type": "Odd"}));
    assert!(folder.refusal(None).contains("unknown pre-tokenizer `Odd`"));
    folder.change("tokenizer.json", |json| json["model"]["vocab"]["far"] = json!(5000));
    assert!(folder.refusal(Some("qwen2")).contains("far has id 5000; expected ids below 304"));
    fs::write(folder.0.join("tokenizer.model"), [0xff; 9]).expect("room");
    assert!(folder.refusal(None).contains("a damaged file; expected a model of SentencePiece"));
}

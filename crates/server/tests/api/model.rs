//! A model file of a few kilobytes: random weights, a vocabulary of single characters.

use std::io::Write;
use std::path::PathBuf;

use gguf::{ValueType, Writer};
use quant::TensorType;

const WIDTH: usize = 32;
const FFN: usize = 48;

/// Tokens with a meaning of their own.
const SPECIAL: [&str; 8] = [
    "<unk>",
    "<s>",
    "</s>",
    "<|im_start|>",
    "<|im_end|>",
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
];

/// The id of a character of ASCII that can be seen.
pub fn id(c: char) -> u32 {
    SPECIAL.len() as u32 + c as u32 - 33
}

/// The token that ends answers.
pub const END: u32 = 4;

/// Writes the file, once for each `name`.
pub fn file(name: &str) -> PathBuf {
    write(name, "llama", |_| {}, &[])
}

/// Writes a model that ranks.
pub fn ranker(name: &str) -> PathBuf {
    let ranks = |writer: &mut Writer| writer.put("qwen3.pooling_type", 4u32).expect("a new key");
    let more = [
        ("blk.0.attn_q_norm.weight", vec![WIDTH / 2]),
        ("blk.0.attn_k_norm.weight", vec![WIDTH / 2]),
        ("cls.output.weight", vec![WIDTH, 2]),
    ];
    write(name, "qwen3", ranks, &more)
}

fn write(
    name: &str,
    architecture: &str,
    facts: impl FnOnce(&mut Writer),
    more: &[(&str, Vec<usize>)],
) -> PathBuf {
    let mut vocabulary: Vec<String> = SPECIAL.map(str::to_owned).to_vec();
    vocabulary.extend((33..127u8).map(|c| char::from(c).to_string()));
    vocabulary.extend(["\n".to_owned(), "▁".to_owned()]);
    let n_vocab = vocabulary.len();
    let mut writer = Writer::new();
    let mut text = |key: &str, value: &str| writer.put(key, value).expect("a new key");
    text("general.architecture", architecture);
    text("general.name", "tiny");
    text("tokenizer.ggml.model", "llama");
    let key = |name: &str| format!("{architecture}.{name}");
    for (key, value) in [
        (&*key("vocab_size"), n_vocab),
        (&*key("context_length"), 1 << 16),
        (&*key("embedding_length"), WIDTH),
        (&*key("block_count"), 1),
        (&*key("feed_forward_length"), FFN),
        (&*key("attention.head_count"), 2),
        (&*key("attention.head_count_kv"), 2),
        (&*key("rope.dimension_count"), WIDTH / 2),
        ("tokenizer.ggml.unknown_token_id", 0),
        ("tokenizer.ggml.bos_token_id", 1),
        ("tokenizer.ggml.eos_token_id", END as usize),
        ("tokenizer.ggml.fim_pre_token_id", 5),
        ("tokenizer.ggml.fim_suf_token_id", 6),
        ("tokenizer.ggml.fim_mid_token_id", 7),
    ] {
        writer.put(key, value as u32).expect("a new key");
    }
    writer.put(&*key("attention.layer_norm_rms_epsilon"), 1e-5f32).expect("a new key");
    facts(&mut writer);
    let kinds = (0..n_vocab).map(|id| match id {
        0 => 2i32,
        id if id < SPECIAL.len() => 3,
        _ => 1,
    });
    let scores = (0..n_vocab).map(|id| -(id as f32));
    let tokens = vocabulary.iter().map(String::as_str);
    writer.put_array("tokenizer.ggml.tokens", ValueType::String, tokens).expect("texts");
    writer.put_array("tokenizer.ggml.scores", ValueType::F32, scores).expect("numbers");
    writer.put_array("tokenizer.ggml.token_type", ValueType::I32, kinds).expect("numbers");
    let usual = [
        ("token_embd.weight", vec![WIDTH, n_vocab]),
        ("output_norm.weight", vec![WIDTH]),
        ("output.weight", vec![WIDTH, n_vocab]),
        ("blk.0.attn_norm.weight", vec![WIDTH]),
        ("blk.0.attn_q.weight", vec![WIDTH, WIDTH]),
        ("blk.0.attn_k.weight", vec![WIDTH, WIDTH]),
        ("blk.0.attn_v.weight", vec![WIDTH, WIDTH]),
        ("blk.0.attn_output.weight", vec![WIDTH, WIDTH]),
        ("blk.0.ffn_norm.weight", vec![WIDTH]),
        ("blk.0.ffn_gate.weight", vec![WIDTH, FFN]),
        ("blk.0.ffn_up.weight", vec![WIDTH, FFN]),
        ("blk.0.ffn_down.weight", vec![FFN, WIDTH]),
    ];
    for (name, shape) in usual.iter().chain(more) {
        let n: usize = shape.iter().product();
        let mut state = name.len() as u64 + n as u64;
        let values: Vec<u8> = (0..n).flat_map(|_| random(&mut state).to_le_bytes()).collect();
        let data = move |out: &mut dyn Write| out.write_all(&values);
        writer.tensor(name, TensorType::F32, shape, data).expect("a new tensor");
    }
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.gguf"));
    let mut file = std::fs::File::create(&path).expect("a writable folder");
    writer.finish(&mut file).expect("a writable file");
    path
}

/// From -0.5 to 0.5.
fn random(state: &mut u64) -> f32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 40) as f32 / (1 << 24) as f32 - 0.5
}

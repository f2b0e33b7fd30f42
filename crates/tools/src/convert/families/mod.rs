//! The families of models that can be converted. Adding one is a file here and a row in [`FAMILIES`].

mod bert;
mod gemma;
mod llama;
mod phi3;
mod qwen;

use serde_json::{Value, json};

use super::Error;
use super::config::Config;
use super::folder::Folder;
use super::pairs::Pairs;
use super::rope::Rope;
use super::tensors::{Change, Name, Tensors};
use super::vocab::Vocabulary;

/// What is known of a family.
pub struct Family {
    /// `architectures` in `config.json`.
    pub architectures: &'static [&'static str],
    /// `general.architecture` of model files.
    pub name: &'static str,
    /// What `transformers` assumes where `config.json` doesn't say.
    pub defaults: fn() -> Value,
    /// The name a tensor goes by below, `None` where the model doesn't need it.
    pub rename: fn(&str) -> Option<String>,
    /// Adds the hyper-parameters.
    pub sizes: fn(&Config<'_>, &Folder, &mut Pairs) -> Result<(), Error>,
    /// Reads the vocabulary; the text is the name of a pre-tokenizer where one was given.
    pub vocabulary: fn(&Config<'_>, &Folder, Option<&str>) -> Result<Vocabulary, Error>,
    /// Adds the tensors.
    pub tensors: fn(&Config<'_>, &mut Tensors<'_>) -> Result<(), Error>,
}

/// All families.
pub const FAMILIES: &[Family] = &[
    llama::LLAMA,
    llama::MIXTRAL,
    qwen::QWEN2,
    qwen::QWEN2_MOE,
    qwen::QWEN3,
    qwen::QWEN3_MOE,
    gemma::GEMMA2,
    gemma::GEMMA3,
    phi3::PHI3,
    bert::BERT,
];

/// The names outside of layers that decoders share.
const EMBEDDING: Name = ("model.embed_tokens", "token_embd", Change::None);
const OUTPUT_NORM: Name = ("model.norm", "output_norm", Change::None);
const OUTPUT: Name = ("lm_head", "output", Change::None);

/// The parts of a dense feed-forward block.
const GATED: [Name; 3] = [
    ("mlp.gate_proj", "ffn_gate", Change::None),
    ("mlp.up_proj", "ffn_up", Change::None),
    ("mlp.down_proj", "ffn_down", Change::None),
];

/// The norms before attention and before the feed-forward block.
const NORMS: [Name; 2] = [
    ("input_layernorm", "attn_norm", Change::None),
    ("post_attention_layernorm", "ffn_norm", Change::None),
];

/// No default but that the output matrix is not the embedding.
fn no_defaults() -> Value {
    json!({"tie_word_embeddings": false})
}

/// All tensors by their own name but frequencies that old checkpoints have, which follow from the base.
fn rename(name: &str) -> Option<String> {
    (!name.ends_with(".rotary_emb.inv_freq")).then(|| name.to_owned())
}

/// Adds the sizes that every decoder has; `activation` is that of its feed-forward blocks.
fn put_sizes(config: &Config<'_>, activation: &str, pairs: &mut Pairs) -> Result<(), Error> {
    check_activation(config, "hidden_act", activation)?;
    put_counts(config, pairs)?;
    let heads = config.count("num_attention_heads")?;
    let kv_heads = config.opt_count("num_key_value_heads")?.unwrap_or(heads);
    if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
        return Err(config.wrong("num_key_value_heads", "a divisor of num_attention_heads"));
    }
    pairs.size("attention.head_count_kv", kv_heads)?;
    pairs.size("attention.layer_norm_rms_epsilon", config.number("rms_norm_eps")? as f32)
}

/// Adds the sizes that every model has.
fn put_counts(config: &Config<'_>, pairs: &mut Pairs) -> Result<(), Error> {
    for (theirs, ours) in [
        ("num_hidden_layers", "block_count"),
        ("max_position_embeddings", "context_length"),
        ("hidden_size", "embedding_length"),
        ("intermediate_size", "feed_forward_length"),
        ("num_attention_heads", "attention.head_count"),
    ] {
        pairs.size(ours, config.count(theirs)?)?;
    }
    Ok(())
}

/// Makes sure that feed-forward blocks have the function that the form of model files implies.
fn check_activation(config: &Config<'_>, key: &str, expected: &str) -> Result<(), Error> {
    match config.text(key) {
        Some(other) if other != expected => Err(config.wrong(key, expected)),
        _ => Ok(()),
    }
}

/// Adds what most have besides: rotary embeddings, and the size of heads where the file says it.
fn put_rope_and_heads(config: &Config<'_>, pairs: &mut Pairs) -> Result<(), Error> {
    Rope::new(config).put(pairs)?;
    let size = config.opt_count("head_dim")?.filter(|&size| size > 0);
    pairs.opt_size("attention.key_length", size)?;
    pairs.opt_size("attention.value_length", size)
}

/// Adds the numbers of experts.
fn put_experts(config: &Config<'_>, key: &'static str, pairs: &mut Pairs) -> Result<(), Error> {
    let (count, used) = (config.count(key)?, config.count("num_experts_per_tok")?);
    if used > count {
        return Err(config.wrong("num_experts_per_tok", &format!("at most {key}")));
    }
    pairs.size("expert_count", count)?;
    pairs.size("expert_used_count", used)
}

/// Adds the tensors of a decoder: `outside` of layers, the output matrix unless it is the embedding, and
/// those that `layer` adds given what its names begin with, theirs and ours.
fn put_decoder(
    config: &Config<'_>,
    tensors: &mut Tensors<'_>,
    outside: &[Name],
    mut layer: impl FnMut(&mut Tensors<'_>, &str, &str) -> Result<(), Error>,
) -> Result<(), Error> {
    tensors.parts("", "", outside)?;
    if tensors.has("lm_head.weight") || !config.is_on("tie_word_embeddings") {
        tensors.parts("", "", &[OUTPUT])?;
    }
    for no in 0..config.count("num_hidden_layers")? {
        layer(tensors, &format!("model.layers.{no}."), &format!("blk.{no}."))?;
    }
    Ok(())
}

/// Adds experts: `names` are theirs and ours of each kind, theirs with `{}` for the number.
fn put_experts_of(
    tensors: &mut Tensors<'_>,
    count: u32,
    theirs: &str,
    ours: &str,
    names: [(&str, &str); 3],
) -> Result<(), Error> {
    let fused = format!("{theirs}mlp.experts.gate_up_proj");
    if tensors.has(&fused) {
        let name = |part: &str| format!("{ours}{part}_exps.weight");
        tensors.halves(&fused, [&name("ffn_gate"), &name("ffn_up")])?;
        let down = format!("{theirs}mlp.experts.down_proj");
        return tensors.put(&down, &name("ffn_down"), Change::None);
    }
    for (their, our) in names {
        let name = |no: u32| format!("{theirs}{}.weight", their.replace("{}", &no.to_string()));
        tensors.stack((0..count).map(name), &format!("{ours}{our}_exps.weight"))?;
    }
    Ok(())
}

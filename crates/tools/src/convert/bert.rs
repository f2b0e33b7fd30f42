//! BERT (Devlin et al. 2019, arXiv:1810.04805) in the form that llama.cpp reads.

use gguf::{ValueType, Writer};
use quant::TensorType;
use serde_json::Value;

use super::safetensors::Safetensors;
use super::{Error, Folder, Precision};

/// Most tokens that a vocabulary may have.
const MAX_VOCAB: u32 = 1 << 24;

/// Types of tokens in a model file.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

/// Tensors outside of layers: theirs, ours.
const NAMES: [(&str, &str); 5] = [
    ("embeddings.word_embeddings.weight", "token_embd.weight"),
    ("embeddings.position_embeddings.weight", "position_embd.weight"),
    ("embeddings.token_type_embeddings.weight", "token_types.weight"),
    ("embeddings.LayerNorm.weight", "token_embd_norm.weight"),
    ("embeddings.LayerNorm.bias", "token_embd_norm.bias"),
];

/// Parts of a layer, each with `weight` and `bias`.
const PARTS: [(&str, &str); 8] = [
    ("attention.self.query", "attn_q"),
    ("attention.self.key", "attn_k"),
    ("attention.self.value", "attn_v"),
    ("attention.output.dense", "attn_output"),
    ("attention.output.LayerNorm", "attn_output_norm"),
    ("intermediate.dense", "ffn_up"),
    ("output.dense", "ffn_down"),
    ("output.LayerNorm", "layer_output_norm"),
];

/// Puts everything into `writer`.
pub fn compose<'a>(
    folder: &Folder<'_>,
    config: &Value,
    weights: &'a Safetensors,
    precision: Precision,
    writer: &mut Writer<'a>,
) -> Result<(), Error> {
    put_sizes(folder, config, precision, writer)?;
    put_vocabulary(folder, config, writer)?;
    // Some files have the whole model under a name of its own.
    let prefix =
        if weights.tensors.keys().any(|name| name.starts_with("bert.")) { "bert." } else { "" };
    let mut put = |theirs: &str, ours: &str| {
        let stored = weights.floats(&format!("{prefix}{theirs}"))?;
        let shape: Vec<usize> = stored.shape.iter().rev().copied().collect();
        let is_table = ours.starts_with("position_embd") || ours.starts_with("token_types");
        let ty = match shape.len() < 2 || is_table {
            true => TensorType::F32,
            false => precision.tensor_type(),
        };
        writer.tensor(ours, ty, &shape, move |out| weights.write(stored, ty, out))?;
        Ok::<_, Error>(())
    };
    for (theirs, ours) in NAMES {
        put(theirs, ours)?;
    }
    for il in 0..folder.count("config.json", config, "num_hidden_layers")? {
        for (theirs, ours) in PARTS {
            for parameter in ["weight", "bias"] {
                let theirs = format!("encoder.layer.{il}.{theirs}.{parameter}");
                put(&theirs, &format!("blk.{il}.{ours}.{parameter}"))?;
            }
        }
    }
    Ok(())
}

fn put_sizes(
    folder: &Folder<'_>,
    config: &Value,
    precision: Precision,
    writer: &mut Writer<'_>,
) -> Result<(), Error> {
    let wrong = |what: String, expected: &str| folder.wrong("config.json", what, expected);
    for (key, expected) in [("position_embedding_type", "absolute"), ("hidden_act", "gelu")] {
        if let Some(other) = config[key].as_str().filter(|&value| value != expected) {
            return Err(wrong(format!("{key} is {other}"), expected));
        }
    }
    writer.put("general.architecture", "bert")?;
    writer.put("general.type", "model")?;
    if let Some(name) = folder.path.file_name().and_then(|name| name.to_str()) {
        writer.put("general.name", name)?;
    }
    writer.put("general.file_type", if precision == Precision::F16 { 1u32 } else { 0 })?;
    for (theirs, ours) in [
        ("num_hidden_layers", "block_count"),
        ("max_position_embeddings", "context_length"),
        ("hidden_size", "embedding_length"),
        ("intermediate_size", "feed_forward_length"),
        ("num_attention_heads", "attention.head_count"),
    ] {
        writer.put(&format!("bert.{ours}"), folder.count("config.json", config, theirs)?)?;
    }
    let epsilon = &config["layer_norm_eps"];
    let epsilon = epsilon
        .as_f64()
        .ok_or_else(|| wrong(format!("layer_norm_eps is {epsilon}"), "a number"))?;
    writer.put("bert.attention.layer_norm_epsilon", epsilon as f32)?;
    writer.put("bert.attention.causal", false)?;
    if let Some(pooling) = pooling(folder)? {
        writer.put("bert.pooling_type", pooling)?;
    }
    Ok(())
}

/// The number of the pooling that a sentence-transformer has; `None` for other models.
fn pooling(folder: &Folder<'_>) -> Result<Option<u32>, Error> {
    let modules = folder.opt_json("modules.json")?;
    let is_pooling =
        |module: &&Value| module["type"].as_str().is_some_and(|ty| ty.ends_with("Pooling"));
    let module = modules.as_array().into_iter().flatten().find(is_pooling);
    let Some(path) = module.and_then(|module| module["path"].as_str()) else { return Ok(None) };
    let file = format!("{path}/config.json");
    let config = folder.json(&file)?;
    let modes = [("mean_tokens", 1), ("cls_token", 2), ("lasttoken", 3)];
    let on = |(mode, _): &&(&str, u32)| config[format!("pooling_mode_{mode}")] == true;
    match modes.iter().find(on) {
        Some(&(_, number)) => Ok(Some(number)),
        None => Err(folder.wrong(
            &file,
            "another pooling".into(),
            "mean_tokens, cls_token or lasttoken",
        )),
    }
}

/// A WordPiece vocabulary with marks at beginnings of words instead of continuations.
fn put_vocabulary(
    folder: &Folder<'_>,
    config: &Value,
    writer: &mut Writer<'_>,
) -> Result<(), Error> {
    let file = "tokenizer.json";
    let tokenizer = folder.json(file)?;
    let model = &tokenizer["model"];
    if model["type"] != "WordPiece" && !model["type"].is_null() {
        return Err(folder.wrong(file, format!("a model of type {}", model["type"]), "WordPiece"));
    }
    let n_vocab = folder.count("config.json", config, "vocab_size")?;
    let mut tokens = vec![None; n_vocab.min(MAX_VOCAB) as usize];
    let mut put = |id: &Value, token: &str, ty: i32| {
        let place = id.as_u64().and_then(|id| tokens.get_mut(usize::try_from(id).ok()?));
        let expected = format!("ids below {n_vocab}");
        let place =
            place.ok_or_else(|| folder.wrong(file, format!("{token} has id {id}"), &expected))?;
        *place = Some((token.to_owned(), ty));
        Ok::<_, Error>(())
    };
    let vocabulary = model["vocab"].as_object();
    let vocabulary = vocabulary.ok_or_else(|| folder.wrong(file, "no vocabulary".into(), "one"))?;
    for (token, id) in vocabulary {
        let token = match token.strip_prefix("##") {
            Some(continuation) => continuation.to_owned(),
            None => format!("\u{2581}{token}"),
        };
        put(id, &token, NORMAL)?;
    }
    for added in tokenizer["added_tokens"].as_array().into_iter().flatten() {
        let content = added["content"].as_str().unwrap_or_default();
        match added["special"] == true {
            true => put(&added["id"], content, CONTROL)?,
            false => put(&added["id"], &format!("\u{2581}{content}"), USER_DEFINED)?,
        }
    }
    let unused = |(id, token): (usize, Option<(String, i32)>)| {
        token.unwrap_or_else(|| (format!("[PAD{id}]"), UNUSED))
    };
    let (tokens, types): (Vec<_>, Vec<_>) = tokens.into_iter().enumerate().map(unused).unzip();
    writer.put("tokenizer.ggml.model", "bert")?;
    // llama.cpp's name for the cutting of words that BERT has.
    writer.put("tokenizer.ggml.pre", "jina-v2-en")?;
    writer.put(
        "tokenizer.ggml.token_type_count",
        folder.count("config.json", config, "type_vocab_size")?,
    )?;
    writer.put_array(
        "tokenizer.ggml.tokens",
        ValueType::String,
        tokens.iter().map(String::as_str),
    )?;
    writer.put_array("tokenizer.ggml.token_type", ValueType::I32, types)?;
    put_special_tokens(folder, &tokens, writer)
}

fn put_special_tokens(
    folder: &Folder<'_>,
    tokens: &[String],
    writer: &mut Writer<'_>,
) -> Result<(), Error> {
    let special = folder.opt_json("special_tokens_map.json")?;
    for (theirs, ours) in [
        ("unk_token", "unknown"),
        // So the format spells it.
        ("sep_token", "seperator"),
        ("pad_token", "padding"),
        ("cls_token", "cls"),
        ("mask_token", "mask"),
    ] {
        let token = &special[theirs];
        let Some(text) = token.as_str().or_else(|| token["content"].as_str()) else { continue };
        if let Some(id) = tokens.iter().position(|token| token == text) {
            writer.put(&format!("tokenizer.ggml.{ours}_token_id"), id as u32)?;
        }
    }
    Ok(())
}

//! Gemma 2 (arXiv:2408.00118) and Gemma 3 (arXiv:2503.19786), of which models that see images give the
//! part that reads text. Norms store the difference of their weights to 1.

use serde_json::{Value, json};

use super::{
    EMBEDDING, Family, GATED, check_activation, put_decoder, put_rope_and_heads, put_sizes,
};
use crate::convert::Error;
use crate::convert::config::Config;
use crate::convert::folder::Folder;
use crate::convert::pairs::Pairs;
use crate::convert::tensors::{Change, Name, Tensors};
use crate::convert::vocab::{self, Vocabulary};

pub const GEMMA2: Family = Family {
    architectures: &["Gemma2ForCausalLM"],
    name: "gemma2",
    defaults: gemma2_defaults,
    rename,
    sizes: gemma2_sizes,
    vocabulary,
    tensors: |config, tensors| put_tensors(config, tensors, &[]),
};

pub const GEMMA3: Family = Family {
    architectures: &["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"],
    name: "gemma3",
    defaults: gemma3_defaults,
    sizes: gemma3_sizes,
    tensors: |config, tensors| put_tensors(config, tensors, &HEAD_NORMS),
    ..GEMMA2
};

const NORMS: [Name; 4] = [
    ("input_layernorm", "attn_norm", Change::PlusOne),
    ("post_attention_layernorm", "post_attention_norm", Change::PlusOne),
    ("pre_feedforward_layernorm", "ffn_norm", Change::PlusOne),
    ("post_feedforward_layernorm", "post_ffw_norm", Change::PlusOne),
];

const ATTENTION: [Name; 4] = [
    ("self_attn.q_proj", "attn_q", Change::None),
    ("self_attn.k_proj", "attn_k", Change::None),
    ("self_attn.v_proj", "attn_v", Change::None),
    ("self_attn.o_proj", "attn_output", Change::None),
];

const HEAD_NORMS: [Name; 2] = [
    ("self_attn.q_norm", "attn_q_norm", Change::PlusOne),
    ("self_attn.k_norm", "attn_k_norm", Change::PlusOne),
];

/// Layers of the models of 27 billion weights, whose queries are scaled by another rule.
const LAYERS_27B: [u32; 2] = [46, 62];

/// Every so many layers of Gemma 3 one has no sliding window.
const PATTERN: &str = "_sliding_window_pattern";

fn gemma2_defaults() -> Value {
    json!({
        "tie_word_embeddings": true, "head_dim": 256, "rms_norm_eps": 1e-6,
        "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "sliding_window": 4096,
    })
}

fn gemma3_defaults() -> Value {
    json!({
        "tie_word_embeddings": true, "head_dim": 256, "rms_norm_eps": 1e-6,
        "num_attention_heads": 8, "num_key_value_heads": 4, "sliding_window": 4096,
        "max_position_embeddings": 131_072, "vocab_size": 262_208,
        "rope_theta": 1e6, "rope_local_base_freq": 1e4,
    })
}

/// Without what sees images, and without the output matrix, which is the embedding.
fn rename(name: &str) -> Option<String> {
    let seen = ["vision_tower.", "multi_modal_projector.", "vision_model."];
    if seen.iter().any(|part| name.contains(part)) || name == "lm_head.weight" {
        return None;
    }
    let name = name.replace("language_model.", "");
    super::rename(&name).filter(|name| name != "lm_head.weight")
}

/// Adds the sizes that both have, if queries are scaled as the form of model files implies.
fn put_gemma_sizes(config: &Config<'_>, pairs: &mut Pairs) -> Result<(), Error> {
    let activation = "gelu_pytorch_tanh";
    put_sizes(config, activation, pairs)?;
    check_activation(config, "hidden_activation", activation)?;
    let scalar = "query_pre_attn_scalar";
    let width = match LAYERS_27B.contains(&config.count("num_hidden_layers")?) {
        true => config.count("hidden_size")? / config.count("num_attention_heads")?,
        false => config.count("head_dim")?,
    };
    match config.opt_number(scalar)? {
        Some(number) if number != f64::from(width) => {
            Err(config.wrong(scalar, &format!("{width}, by the size of heads")))
        }
        _ => Ok(()),
    }
}

fn gemma2_sizes(config: &Config<'_>, _: &Folder, pairs: &mut Pairs) -> Result<(), Error> {
    put_gemma_sizes(config, pairs)?;
    let size = config.count("head_dim")?;
    pairs.size("attention.key_length", size)?;
    pairs.size("attention.value_length", size)?;
    for key in ["attn_logit_softcapping", "final_logit_softcapping"] {
        pairs.size(key, config.number(key)? as f32)?;
    }
    pairs.size("attention.sliding_window", config.count("sliding_window")?)
}

fn gemma3_sizes(config: &Config<'_>, _: &Folder, pairs: &mut Pairs) -> Result<(), Error> {
    if !config.get("attn_logit_softcapping").is_null() {
        return Err(config.wrong("attn_logit_softcapping", "none"));
    }
    match config.opt_count("sliding_window_pattern")?.or(config.opt_count(PATTERN)?) {
        None | Some(1 | 6) => {}
        _ => return Err(config.wrong(PATTERN, "6")),
    }
    put_gemma_sizes(config, pairs)?;
    put_rope_and_heads(config, pairs)?;
    let cap = config.opt_number("final_logit_softcapping")?.map(|cap| cap as f32);
    pairs.opt_size("final_logit_softcapping", cap.filter(|&cap| cap != 0.0))?;
    match config.opt_count("sliding_window_pattern")? {
        Some(1) => Ok(()),
        _ => pairs.size("attention.sliding_window", config.count("sliding_window")?),
    }
}

fn vocabulary(
    config: &Config<'_>,
    folder: &Folder,
    pre: Option<&str>,
) -> Result<Vocabulary, Error> {
    let mut vocabulary = vocab::read(config, folder, pre)?;
    vocabulary.add_space_prefix = Some(false);
    Ok(vocabulary)
}

fn put_tensors(
    config: &Config<'_>,
    tensors: &mut Tensors<'_>,
    head_norms: &[Name],
) -> Result<(), Error> {
    let outside = [EMBEDDING, ("model.norm", "output_norm", Change::PlusOne)];
    put_decoder(config, tensors, &outside, |tensors, theirs, ours| {
        tensors.parts(theirs, ours, &NORMS)?;
        tensors.parts(theirs, ours, &ATTENTION)?;
        tensors.parts(theirs, ours, head_norms)?;
        tensors.parts(theirs, ours, &GATED)
    })
}

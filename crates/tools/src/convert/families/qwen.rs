//! Qwen2 (Yang et al. 2024, arXiv:2407.10671) and Qwen3 (arXiv:2505.09388), with and without experts.

use serde_json::{Value, json};

use super::{
    EMBEDDING, Family, GATED, NORMS, OUTPUT_NORM, no_defaults, put_decoder, put_experts,
    put_experts_of, put_rope_and_heads, put_sizes, rename,
};
use crate::convert::Error;
use crate::convert::config::Config;
use crate::convert::folder::Folder;
use crate::convert::pairs::Pairs;
use crate::convert::tensors::{Change, Name, Tensors};
use crate::convert::vocab;

pub const QWEN2: Family = Family {
    architectures: &["Qwen2ForCausalLM"],
    name: "qwen2",
    defaults: no_defaults,
    rename,
    sizes,
    vocabulary: vocab::read,
    tensors: |config, tensors| put_tensors(config, tensors, &ATTENTION, dense),
};

pub const QWEN3: Family = Family {
    architectures: &["Qwen3ForCausalLM"],
    name: "qwen3",
    tensors: |config, tensors| put_tensors(config, tensors, &NORMED_ATTENTION, dense),
    ..QWEN2
};

pub const QWEN2_MOE: Family = Family {
    architectures: &["Qwen2MoeForCausalLM"],
    name: "qwen2moe",
    defaults: moe_defaults,
    sizes: |config, folder, pairs| {
        moe_sizes(config, folder, pairs)?;
        let shared = config.count("shared_expert_intermediate_size")?;
        pairs.size("expert_shared_feed_forward_length", shared)
    },
    tensors: |config, tensors| {
        all_layers_have_experts(config)?;
        put_tensors(config, tensors, &ATTENTION, |config, tensors, theirs, ours| {
            moe(config, tensors, theirs, ours)?;
            tensors.parts(theirs, ours, &SHARED_EXPERT)
        })
    },
    ..QWEN2
};

pub const QWEN3_MOE: Family = Family {
    architectures: &["Qwen3MoeForCausalLM"],
    name: "qwen3moe",
    defaults: moe_defaults,
    sizes: moe_sizes,
    tensors: |config, tensors| {
        all_layers_have_experts(config)?;
        put_tensors(config, tensors, &NORMED_ATTENTION, moe)
    },
    ..QWEN2
};

const ATTENTION: [Name; 4] = [
    ("self_attn.q_proj", "attn_q", Change::None),
    ("self_attn.k_proj", "attn_k", Change::None),
    ("self_attn.v_proj", "attn_v", Change::None),
    ("self_attn.o_proj", "attn_output", Change::None),
];

const NORMED_ATTENTION: [Name; 6] = [
    ATTENTION[0],
    ATTENTION[1],
    ATTENTION[2],
    ATTENTION[3],
    ("self_attn.q_norm", "attn_q_norm", Change::None),
    ("self_attn.k_norm", "attn_k_norm", Change::None),
];

const EXPERTS: [(&str, &str); 3] = [
    ("mlp.experts.{}.gate_proj", "ffn_gate"),
    ("mlp.experts.{}.up_proj", "ffn_up"),
    ("mlp.experts.{}.down_proj", "ffn_down"),
];

const SHARED_EXPERT: [Name; 4] = [
    ("mlp.shared_expert_gate", "ffn_gate_inp_shexp", Change::None),
    ("mlp.shared_expert.gate_proj", "ffn_gate_shexp", Change::None),
    ("mlp.shared_expert.up_proj", "ffn_up_shexp", Change::None),
    ("mlp.shared_expert.down_proj", "ffn_down_shexp", Change::None),
];

fn moe_defaults() -> Value {
    json!({"tie_word_embeddings": false, "decoder_sparse_step": 1, "mlp_only_layers": []})
}

fn sizes(config: &Config<'_>, _: &Folder, pairs: &mut Pairs) -> Result<(), Error> {
    put_sizes(config, "silu", pairs)?;
    put_rope_and_heads(config, pairs)
}

/// The key of the number of experts, which differs between versions of `transformers`.
fn experts(config: &Config<'_>) -> &'static str {
    if config.get("num_experts").is_null() { "num_local_experts" } else { "num_experts" }
}

fn moe_sizes(config: &Config<'_>, folder: &Folder, pairs: &mut Pairs) -> Result<(), Error> {
    sizes(config, folder, pairs)?;
    put_experts(config, experts(config), pairs)?;
    pairs.size("expert_feed_forward_length", config.count("moe_intermediate_size")?)
}

/// The form of model files has no dense layers between those with experts.
fn all_layers_have_experts(config: &Config<'_>) -> Result<(), Error> {
    if config.get("mlp_only_layers").as_array().is_some_and(|layers| !layers.is_empty()) {
        return Err(config.wrong("mlp_only_layers", "none"));
    }
    match config.opt_count("decoder_sparse_step")? {
        Some(1) => Ok(()),
        _ => Err(config.wrong("decoder_sparse_step", "1")),
    }
}

fn dense(_: &Config<'_>, tensors: &mut Tensors<'_>, theirs: &str, ours: &str) -> Result<(), Error> {
    tensors.parts(theirs, ours, &GATED)
}

fn moe(
    config: &Config<'_>,
    tensors: &mut Tensors<'_>,
    theirs: &str,
    ours: &str,
) -> Result<(), Error> {
    tensors.parts(theirs, ours, &[("mlp.gate", "ffn_gate_inp", Change::None)])?;
    put_experts_of(tensors, config.count(experts(config))?, theirs, ours, EXPERTS)
}

fn put_tensors(
    config: &Config<'_>,
    tensors: &mut Tensors<'_>,
    attention: &[Name],
    feed_forward: fn(&Config<'_>, &mut Tensors<'_>, &str, &str) -> Result<(), Error>,
) -> Result<(), Error> {
    put_decoder(config, tensors, &[EMBEDDING, OUTPUT_NORM], |tensors, theirs, ours| {
        tensors.parts(theirs, ours, &NORMS)?;
        tensors.parts(theirs, ours, attention)?;
        feed_forward(config, tensors, theirs, ours)
    })
}

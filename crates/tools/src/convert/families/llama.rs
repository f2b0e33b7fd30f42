//! Llama 1 to 3 (Touvron et al. 2023, arXiv:2302.13971), what has its form, such as Mistral and SmolLM2,
//! and Mixtral (Jiang et al. 2024, arXiv:2401.04088), which has experts.

use serde_json::{Value, json};

use super::{
    EMBEDDING, Family, GATED, NORMS, OUTPUT_NORM, no_defaults, put_decoder, put_experts,
    put_experts_of, put_rope_and_heads, put_sizes, rename,
};
use crate::convert::Error;
use crate::convert::config::Config;
use crate::convert::folder::Folder;
use crate::convert::pairs::Pairs;
use crate::convert::rope::Rope;
use crate::convert::tensors::{Change, Name, Tensors};
use crate::convert::vocab::{self, Vocabulary};

pub const LLAMA: Family = Family {
    architectures: &["LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM"],
    name: "llama",
    defaults: no_defaults,
    rename,
    sizes,
    vocabulary,
    tensors: |config, tensors| {
        put_tensors(config, tensors, |tensors, theirs, ours| tensors.parts(theirs, ours, &GATED))
    },
};

pub const MIXTRAL: Family = Family {
    architectures: &["MixtralForCausalLM"],
    name: "llama",
    defaults: mixtral_defaults,
    rename,
    sizes: |config, folder, pairs| {
        sizes(config, folder, pairs)?;
        put_experts(config, "num_local_experts", pairs)
    },
    vocabulary,
    tensors: |config, tensors| {
        let count = config.count("num_local_experts")?;
        put_tensors(config, tensors, |tensors, theirs, ours| {
            let router =
                if tensors.has(&format!("{theirs}mlp.gate.weight")) { "mlp.gate" } else { ROUTER };
            tensors.parts(theirs, ours, &[(router, "ffn_gate_inp", Change::None)])?;
            put_experts_of(tensors, count, theirs, ours, EXPERTS)
        })
    },
};

const ROUTER: &str = "block_sparse_moe.gate";

const EXPERTS: [(&str, &str); 3] = [
    ("block_sparse_moe.experts.{}.w1", "ffn_gate"),
    ("block_sparse_moe.experts.{}.w3", "ffn_up"),
    ("block_sparse_moe.experts.{}.w2", "ffn_down"),
];

/// Rotary embeddings of the form pair neighbours.
const ATTENTION: [Name; 4] = [
    ("self_attn.q_proj", "attn_q", Change::Queries),
    ("self_attn.k_proj", "attn_k", Change::Keys),
    ("self_attn.v_proj", "attn_v", Change::None),
    ("self_attn.o_proj", "attn_output", Change::None),
];

fn mixtral_defaults() -> Value {
    json!({"tie_word_embeddings": false, "num_local_experts": 8, "num_experts_per_tok": 2})
}

fn sizes(config: &Config<'_>, _: &Folder, pairs: &mut Pairs) -> Result<(), Error> {
    put_sizes(config, "silu", pairs)?;
    put_rope_and_heads(config, pairs)?;
    pairs.size("vocab_size", config.count("vocab_size")?)?;
    pairs.size("rope.dimension_count", config.head_size()?)
}

fn vocabulary(
    config: &Config<'_>,
    folder: &Folder,
    pre: Option<&str>,
) -> Result<Vocabulary, Error> {
    let mut vocabulary = vocab::read(config, folder, pre)?;
    vocabulary.add_space_prefix =
        folder.opt_json("tokenizer_config.json")?["add_prefix_space"].as_bool();
    // As llama.cpp has it for small Granite models, by this size.
    if config.count("vocab_size")? == 49_152 {
        vocabulary.special.set_add("bos", false);
    }
    Ok(vocabulary)
}

fn put_tensors(
    config: &Config<'_>,
    tensors: &mut Tensors<'_>,
    feed_forward: impl Fn(&mut Tensors<'_>, &str, &str) -> Result<(), Error>,
) -> Result<(), Error> {
    if let Some(factors) = Rope::new(config).llama3_factors(config.head_size()?)? {
        tensors.computed("rope_freqs.weight", factors);
    }
    put_decoder(config, tensors, &[EMBEDDING, OUTPUT_NORM], |tensors, theirs, ours| {
        tensors.parts(theirs, ours, &NORMS)?;
        tensors.parts(theirs, ours, &ATTENTION)?;
        feed_forward(tensors, theirs, ours)
    })
}

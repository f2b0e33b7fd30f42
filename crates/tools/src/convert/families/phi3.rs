//! Phi-3 and Phi-4 (arXiv:2404.14219, arXiv:2412.08905): queries, keys and values in one matrix, gate and
//! up in another, and long contexts by factors for each frequency (arXiv:2402.13753).

use serde_json::{Value, json};

use super::{EMBEDDING, Family, NORMS, OUTPUT_NORM, put_decoder, put_sizes, rename};
use crate::convert::Error;
use crate::convert::config::Config;
use crate::convert::folder::Folder;
use crate::convert::pairs::Pairs;
use crate::convert::rope::Rope;
use crate::convert::tensors::{Change, Name, Tensors};
use crate::convert::vocab;

pub const PHI3: Family = Family {
    architectures: &["Phi3ForCausalLM"],
    name: "phi3",
    defaults,
    rename,
    sizes,
    vocabulary: |config, folder, pre| {
        let mut vocabulary = vocab::read(config, folder, pre)?;
        vocabulary.mark_added(folder)?;
        Ok(vocabulary)
    },
    tensors: put_tensors,
};

const LAYER: [Name; 4] = [
    ("self_attn.qkv_proj", "attn_qkv", Change::None),
    ("self_attn.o_proj", "attn_output", Change::None),
    ("mlp.gate_up_proj", "ffn_up", Change::None),
    ("mlp.down_proj", "ffn_down", Change::None),
];

fn defaults() -> Value {
    json!({
        "tie_word_embeddings": false, "original_max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
    })
}

fn sizes(config: &Config<'_>, _: &Folder, pairs: &mut Pairs) -> Result<(), Error> {
    put_sizes(config, "silu", pairs)?;
    let rope = Rope::new(config);
    let original = original_context(&rope)?;
    pairs.size("rope.scaling.original_context_length", original)?;
    pairs.size("rope.dimension_count", rope_dimensions(config, &rope)?)?;
    pairs.size("rope.freq_base", rope.base()? as f32)?;
    // Zero tells Phi-4 from those before it.
    let window = config.opt_count("sliding_window")?.unwrap_or(0);
    pairs.size("attention.sliding_window", window)?;
    if rope.factors("long_factor")?.is_some() {
        let stretch = f64::from(config.count("max_position_embeddings")?) / f64::from(original);
        pairs
            .size("rope.scaling.attn_factor", attention_factor(&rope, stretch, original)? as f32)?;
    }
    Ok(())
}

/// What products of queries and keys are multiplied with where the context is stretched.
fn attention_factor(rope: &Rope<'_>, stretch: f64, original: u32) -> Result<f64, Error> {
    match rope.kind() {
        "su" | "longrope" | "yarn" if stretch <= 1.0 => Ok(1.0),
        "su" | "longrope" => Ok((1.0 + stretch.ln() / f64::from(original).ln()).sqrt()),
        "yarn" => Ok(0.1 * stretch.ln() + 1.0),
        _ => Err(rope.wrong("rope_type", "longrope, su or yarn")),
    }
}

fn original_context(rope: &Rope<'_>) -> Result<u32, Error> {
    let key = "original_max_position_embeddings";
    let context = rope.original_context()?.filter(|&context| context > 1);
    context.ok_or_else(|| rope.wrong(key, "a number of positions"))
}

fn rope_dimensions(config: &Config<'_>, rope: &Rope<'_>) -> Result<u32, Error> {
    let share = rope.opt_number("partial_rotary_factor")?.unwrap_or(1.0);
    let width = f64::from(config.count("hidden_size")?);
    let dims = (share * width) as u32 / config.count("num_attention_heads")?;
    match share > 0.0 && share <= 1.0 && dims > 0 {
        true => Ok(dims),
        false => Err(config.wrong("partial_rotary_factor", "a share of each head")),
    }
}

fn put_tensors(config: &Config<'_>, tensors: &mut Tensors<'_>) -> Result<(), Error> {
    let rope = Rope::new(config);
    let pairs = rope_dimensions(config, &rope)? as usize / 2;
    if rope.factors("long_factor")?.is_some() {
        for (theirs, ours) in [("long_factor", "long"), ("short_factor", "short")] {
            let factors = rope.factors(theirs)?.filter(|factors| factors.len() == pairs);
            let wrong = || rope.wrong(theirs, &format!("{pairs} numbers, half the dimensions"));
            tensors.computed(&format!("rope_factors_{ours}.weight"), factors.ok_or_else(wrong)?);
        }
    }
    put_decoder(config, tensors, &[EMBEDDING, OUTPUT_NORM], |tensors, theirs, ours| {
        tensors.parts(theirs, ours, &NORMS)?;
        tensors.parts(theirs, ours, &LAYER)
    })
}

//! How tokens are chosen, as llama.cpp writes it.

use sample::{Params, SamplerKind};
use serde_json::{Value, json};

/// `generation_settings`.
pub fn settings(params: &Params) -> Value {
    let samplers: Vec<&str> = params.samplers.iter().map(|&kind| SamplerKind::name(kind)).collect();
    json!({
        "seed": params.seed.unwrap_or(u32::MAX),
        "temperature": params.temperature,
        "dynatemp_range": params.dynatemp_range,
        "dynatemp_exponent": params.dynatemp_exponent,
        "top_k": params.top_k,
        "top_p": params.top_p,
        "min_p": params.min_p,
        "top_n_sigma": params.top_n_sigma,
        "xtc_probability": params.xtc_probability,
        "xtc_threshold": params.xtc_threshold,
        "typical_p": params.typical_p,
        "repeat_last_n": params.repeat_last_n,
        "repeat_penalty": params.repeat_penalty,
        "presence_penalty": params.presence_penalty,
        "frequency_penalty": params.frequency_penalty,
        "dry_multiplier": params.dry_multiplier,
        "dry_base": params.dry_base,
        "dry_allowed_length": params.dry_allowed_length,
        "dry_penalty_last_n": params.dry_last_n,
        "dry_sequence_breakers": params.dry_breakers,
        "mirostat": params.mirostat.number(),
        "mirostat_tau": params.mirostat_tau,
        "mirostat_eta": params.mirostat_eta,
        "ignore_eos": params.ignore_eos,
        "n_probs": params.n_probs,
        "min_keep": params.min_keep,
        "samplers": samplers,
        "post_sampling_probs": params.post_sampling_probs,
    })
}

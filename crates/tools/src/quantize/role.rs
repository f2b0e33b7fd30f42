//! What a tensor is for, by its name.

/// What recipes tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Output,
    Embedding,
    /// Queries of attention.
    Query,
    Key,
    /// Values of attention, by themselves or in one matrix with others.
    Value,
    AttentionOutput,
    Up,
    Gate,
    Down,
    Other,
}

/// Parts of names and what they tell; the first that occurs counts.
const PARTS: &[(&str, Role)] = &[
    ("attn_qkv.weight", Role::Value),
    ("attn_kv_b.weight", Role::Value),
    ("attn_v.weight", Role::Value),
    ("attn_k.weight", Role::Key),
    ("attn_q.weight", Role::Query),
    ("attn_output.weight", Role::AttentionOutput),
    ("ffn_up", Role::Up),
    ("ffn_gate", Role::Gate),
    ("ffn_down", Role::Down),
];

/// Embeddings of tokens that each layer adds, in a table of their own.
pub(super) const PER_LAYER_EMBEDDING: &str = "per_layer_token_embd.weight";

impl Role {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "output.weight" => Self::Output,
            "token_embd.weight" | PER_LAYER_EMBEDDING => Self::Embedding,
            _ => PARTS
                .iter()
                .find(|(part, _)| name.contains(part))
                .map_or(Self::Other, |&(_, role)| role),
        }
    }
}

/// Parts of the names of matrices that stay as they are: small ones, those that decide (routers), and
/// tables that are not multiplied with (positions).
const KEPT: &[&str] = &[
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
    "attn_rel_b.weight",
    ".position_embd",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
    "mm.a.code_embd",
];

/// The same for one architecture only.
const KEPT_GLM5_NEXT: &[&str] = &[
    "hc_",
    "indexer.attn_q_b",
    "indexer.attn_k",
    "indexer.proj",
    "indexer_compressor_gate",
    "indexer_compressor_ape",
    "ssm_f_a.weight",
    "ssm_f_b.weight",
    "ssm_g_a.weight",
    "ssm_g_b.weight",
    "ssm_beta.weight",
    "attn_kv_a_mqa.weight",
    "attn_k_b.weight",
    "attn_v_b.weight",
];

/// Whether a tensor of this name and shape may change its type.
pub(crate) fn is_quantised(architecture: &str, name: &str, shape: &[usize]) -> bool {
    let special = if architecture == "glm5-next" { KEPT_GLM5_NEXT } else { &[] };
    shape.len() >= 2
        && name.ends_with("weight")
        && !["position_embd.weight", "token_types.weight"].contains(&name)
        && !KEPT.iter().chain(special).any(|part| name.contains(part))
}

/// The number in `blk.N.`, where a name begins with that.
pub(super) fn layer(name: &str) -> Option<usize> {
    name.strip_prefix("blk.")?.split_once('.')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_follow_from_names() {
        assert_eq!(Role::of("output.weight"), Role::Output);
        assert_eq!(Role::of("output_norm.weight"), Role::Other);
        assert_eq!(Role::of("blk.3.attn_qkv.weight"), Role::Value);
        assert_eq!(Role::of("blk.3.ffn_down_exps.weight"), Role::Down);
        assert_eq!(layer("blk.12.ffn_up.weight"), Some(12));
        assert_eq!(layer("output.weight"), None);
    }

    #[test]
    fn norms_routers_and_vectors_are_kept() {
        let quantised = |name| is_quantised("llama", name, &[64, 64]);
        assert!(quantised("blk.0.attn_q.weight") && quantised("output.weight"));
        assert!(!quantised("blk.0.attn_norm.weight") && !quantised("blk.0.ffn_gate_inp.weight"));
        assert!(!quantised("blk.0.attn_q.bias") && !quantised("position_embd.weight"));
        assert!(!is_quantised("llama", "blk.0.attn_q.weight", &[64]));
        assert!(!is_quantised("glm5-next", "blk.0.ssm_f_a.weight", &[64, 64]));
    }
}

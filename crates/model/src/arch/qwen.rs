//! Qwen2 (Yang et al. 2024, arXiv:2407.10671) and Qwen3 (2025, arXiv:2505.09388), dense and as
//! mixtures of experts. Qwen2 has biases and Qwen3 norms on queries and keys; Qwen2 MoE has an
//! expert for all tokens, with a gate of its own.

use super::prelude::*;
use crate::OutputKind;
use crate::blocks::pooling::Pooling;

pub(super) fn load_2(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load(source, false, Routing::softmax(source.hp.n_expert_used))
}

pub(super) fn load_2_moe(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    source.keys.count("expert_count")?;
    load(source, false, Routing { normalize: false, ..Routing::softmax(source.hp.n_expert_used) })
}

pub(super) fn load_3(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load(source, true, Routing::softmax(source.hp.n_expert_used))
}

pub(super) fn load_3_moe(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    source.keys.count("expert_count")?;
    load_3(source)
}

fn load(
    source: &Source<'_>,
    with_head_norms: bool,
    experts: Routing,
) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let model = Decoder::load(source, norm, |il, w| {
        let mut attention = Attention::load(w, hp, il)?.with_rope(&rope);
        if with_head_norms {
            attention = attention.with_head_norms(w, norm)?;
        }
        Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &experts)?)
    })?;
    let output = match keys.opt_usize("pooling_type")? {
        None | Some(0) => OutputKind::Logits,
        Some(_) => OutputKind::Embeddings(Pooling::load(keys)?),
    };
    Ok(Arc::new(model.with_output(output)))
}

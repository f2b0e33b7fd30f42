//! Llama 4: three of four layers attend to their chunk with rotary positions, the fourth to
//! everything without; experts, weighed at their input, alternate with dense layers.

use backend::Gating;

use super::prelude::*;
use crate::blocks::attention::Temperature;

/// Positions per chunk of local attention, whatever the file says.
const CHUNK: usize = 8192;
/// Layers between those without rotary positions.
const NO_ROPE_STEP: usize = 4;
/// The 128-expert model does not normalise queries and keys.
const EXPERTS_WITHOUT_QK_NORM: usize = 128;
/// Queries of layers without rotary positions.
const TEMPERATURE: Temperature = Temperature { scale: 0.1, length: CHUNK, offset: 1 };

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Norm)?);
    let rope_chunked = rope.sliding(keys)?;
    let n_expert = keys.count("expert_count")?;
    let head_norm = norm.plain_groups(hp.head_dim);
    let chunked = match keys.opt_usize("attention.sliding_window")? {
        Some(0) => None,
        _ => Some(keys.sliding_layers(hp.n_layer, NO_ROPE_STEP, false)?),
    };
    let experts = Routing {
        gating: Gating::Sigmoid,
        normalize: false,
        weigh_input: true,
        ..Routing::softmax(hp.n_expert_used)
    };
    let model = Decoder::load(source, norm, |il, w| {
        let mut attention = Attention::load(w, hp, il)?;
        let in_chunk = chunked.as_ref().is_some_and(|layers| layers[il]);
        if in_chunk {
            attention = attention.with_mask(Mask::Chunked(CHUNK));
        }
        if chunked.is_none() || (il + 1) % NO_ROPE_STEP != 0 {
            attention = attention.with_rope(if in_chunk { &rope_chunked } else { &rope });
            if n_expert != EXPERTS_WITHOUT_QK_NORM {
                attention = attention.with_qk_norms(head_norm.clone(), head_norm.clone());
            }
        } else {
            attention.temperature = Some(TEMPERATURE);
        }
        let ffn = silu_ffn(w, hp, &experts)?;
        Layer::pre_norm(w, norm, hp.n_embd, attention.with_norms_after_rope(), ffn)
    })?;
    Ok(Arc::new(model))
}

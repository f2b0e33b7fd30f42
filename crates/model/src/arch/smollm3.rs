//! SmolLM3 (Hugging Face 2025): every fourth layer has no rotary positions.

use super::prelude::*;

const NO_ROPE_STEP: usize = 4;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Norm)?);
    let model = Decoder::load(source, norm, |il, w| {
        let mut attention = Attention::load(w, hp, il)?;
        if (il + 1) % NO_ROPE_STEP != 0 {
            attention = attention.with_rope(&rope);
        }
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

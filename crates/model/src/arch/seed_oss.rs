//! Seed-OSS (ByteDance 2025): Qwen2 with another name for the second norm.

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope);
        Ok(Layer {
            attn_norm: Some(norm.load(w, "attn_norm", hp.n_embd)?),
            ffn_norm: Some(norm.load(w, "post_attention_norm", hp.n_embd)?),
            ..Layer::bare(attention, Ffn::gated(w, hp.n_embd, Activation::Silu)?)
        })
    })?;
    Ok(Arc::new(model))
}

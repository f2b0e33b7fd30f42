//! GLM (Zeng et al. 2024, arXiv:2406.12793): gates fused with what they gate. GLM-4 of 2025 adds
//! norms after each block, and GLM-4.5 experts (arXiv:2508.06471).

use super::prelude::*;

pub(super) fn load_chatglm(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Norm)?);
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope);
        let ffn = Ffn::fused(w, "", hp.n_embd, Activation::Silu)?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.mrope(RopeLayout::Norm, false)?);
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope);
        let ffn = Ffn::fused(w, "", hp.n_embd, Activation::Silu)?;
        let layer = Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)?;
        layer.with_post_norms(w, norm, hp.n_embd)
    })?;
    Ok(Arc::new(model))
}

pub(super) fn load_moe(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.mrope(RopeLayout::Neox, false)?);
    let experts = source.sigmoid_routing()?;
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope);
        let attention = attention.with_opt_head_norms(w, norm)?;
        Ok(Layer {
            attn_norm: Some(norm.load(w, "attn_norm", hp.n_embd)?),
            ffn_norm: Some(norm.load(w, "post_attention_norm", hp.n_embd)?),
            ..Layer::bare(attention, silu_ffn(w, hp, &experts)?)
        })
    })?;
    Ok(Arc::new(model))
}

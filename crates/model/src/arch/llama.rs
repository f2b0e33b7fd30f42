//! LLaMA 1 to 3 and all models of that form: Mistral, Mixtral, Yi, SmolLM2, InternLM 2, Xverse,
//! ERNIE 4.5, DeepSeek, Mistral 3… (Touvron et al. 2023, arXiv:2302.13971). `llama-embed` is the
//! same without causality.

use super::prelude::*;
use crate::blocks::attention::Temperature;
use crate::blocks::pooling::Pooler;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    Ok(Arc::new(load_as(source, source.normalized_routing()?, None)?))
}

/// Experts' weights are divided by their sum only if the file says so.
pub(super) fn load_deepseek(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    Ok(Arc::new(load_as(source, source.routing()?, None)?))
}

pub(super) fn load_embedding(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let model = load_as(source, source.normalized_routing()?, Some(Mask::Full))?;
    Ok(Arc::new(model.with_pooler(Pooler::load(source)?)))
}

/// LLaDA (Nie et al. 2025, arXiv:2502.09992), which fills in masked tokens in any order.
pub(super) fn load_diffusion(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    Ok(Arc::new(load_as(source, source.normalized_routing()?, Some(Mask::Full))?))
}

fn load_as(source: &Source<'_>, experts: Routing, mask: Option<Mask>) -> Result<Decoder, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Norm)?);
    let temperature = Temperature::load(&source.keys, rope.n_ctx_orig)?;
    Decoder::load(source, norm, |il, w| {
        let mut attention = Attention::load(w, hp, il)?.with_rope(&rope);
        if let Some(mask) = mask {
            attention = attention.with_mask(mask);
        }
        attention.temperature = temperature;
        Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &experts)?)
    })
}

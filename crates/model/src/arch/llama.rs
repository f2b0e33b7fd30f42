//! LLaMA 1 to 3 and all models of that form: Mistral, Mixtral, Yi, SmolLM2, InternLM 2, Xverse,
//! ERNIE 4.5, DeepSeek, Mistral 3… (Touvron et al. 2023, arXiv:2302.13971). `llama-embed` is the
//! same without causality.

use super::prelude::*;
use crate::OutputKind;
use crate::blocks::attention::Temperature;
use crate::blocks::pooling::Pooling;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load_as(source, source.normalized_routing()?, Mask::Causal, OutputKind::Logits)
}

/// Experts' weights are divided by their sum only if the file says so.
pub(super) fn load_deepseek(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load_as(source, source.routing()?, Mask::Causal, OutputKind::Logits)
}

pub(super) fn load_embedding(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let output = OutputKind::Embeddings(Pooling::load(&source.keys)?);
    load_as(source, source.normalized_routing()?, Mask::Full, output)
}

fn load_as(
    source: &Source<'_>,
    experts: Routing,
    mask: Mask,
    output: OutputKind,
) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Norm)?);
    let temperature = Temperature::load(&source.keys, rope.n_ctx_orig)?;
    let model = Decoder::load(source, norm, |il, w| {
        let mut attention = Attention::load(w, hp, il)?.with_rope(&rope).with_mask(mask);
        attention.temperature = temperature;
        Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &experts)?)
    })?;
    Ok(Arc::new(model.with_output(output)))
}

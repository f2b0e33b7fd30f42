//! LLaMA 1 to 3 and all models of that form: Mistral, Mixtral, Yi, SmolLM2…
//! (Touvron et al. 2023, arXiv:2302.13971). `llama-embed` is the same without causality.

use super::prelude::*;
use crate::OutputKind;
use crate::blocks::pooling::Pooling;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load_as(source, Mask::Causal, OutputKind::Logits)
}

pub(super) fn load_embedding(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load_as(source, Mask::Full, OutputKind::Embeddings(Pooling::load(&source.keys)?))
}

fn load_as(source: &Source<'_>, mask: Mask, output: OutputKind) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Norm)?);
    let experts = Routing::softmax(hp.n_expert_used);
    let scale = source.keys.opt_f32("attention.scale")?.filter(|&scale| scale != 0.0);
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope).with_mask(mask);
        Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &experts)?)
    })?;
    Ok(Arc::new(model.with_output(output)))
}

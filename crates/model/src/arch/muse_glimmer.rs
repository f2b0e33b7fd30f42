//! Muse Glimmer (2026): gated attention, norms after each block with an epsilon of their own, a norm
//! of the embeddings, and rotary positions only in layers that attend to a sliding window.

use super::prelude::*;

/// Every fourth layer attends to everything, unless the file says otherwise.
const PATTERN: usize = 4;
const POST_NORM: NormKind = NormKind::Rms(1e-8);

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Norm)?);
    let rope_sliding = rope.unscaled_sliding(keys, rope.freq_base)?;
    let window = Window::load(keys, hp, PATTERN)?;
    let mut model = Decoder::load(source, norm, |il, w| {
        let mut attention = Attention::load(w, hp, il)?
            .with_mask(window.mask(il))
            .with_head_norms(w, norm)?
            .with_gate(w, hp.n_embd, Activation::Sigmoid)?;
        if window.slides(il) {
            attention = attention.with_rope(&rope_sliding);
        }
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        let layer = Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)?;
        layer.with_post_norms(w, POST_NORM, hp.n_embd)
    })?;
    model.embedding.norm = Some(norm.plain());
    model.head.scale = keys.f32("logit_scale")?;
    model.head.softcap = keys.opt_f32("final_logit_softcapping")?.unwrap_or(0.0);
    Ok(Arc::new(model))
}

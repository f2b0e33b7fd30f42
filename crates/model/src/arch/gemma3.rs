//! Gemma 3 (Gemma Team 2025, arXiv:2503.19786): norms on both sides of each block, norms of
//! queries and keys, and layers that mostly attend to a sliding window.

use super::prelude::*;

/// Every sixth layer attends to everything, unless the file says otherwise.
const PATTERN: usize = 6;
/// The 27B model scales its queries by its own rule.
const LAYERS_27B: usize = 62;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let rope_sliding = rope.unscaled_sliding(keys, 10_000.0)?;
    let window = Window::load(keys, hp, PATTERN)?;
    let mut model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?;
        let query_width = match hp.n_layer {
            LAYERS_27B => hp.n_embd / attention.heads.n_head,
            _ => hp.head_dim,
        };
        let attention = attention
            .with_mask(window.mask(il))
            .with_rope(if window.slides(il) { &rope_sliding } else { &rope })
            .with_scale(1.0 / (query_width as f32).sqrt())
            .with_head_norms(w, norm)?;
        let ffn = Ffn::gated(w, hp.n_embd, Activation::GeluTanh)?;
        let layer = Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)?;
        layer.with_post_norms(w, norm, hp.n_embd)
    })?;
    model.embedding.scale = (hp.n_embd as f32).sqrt();
    model.head.softcap = keys.opt_f32("final_logit_softcapping")?.unwrap_or(0.0);
    Ok(Arc::new(model))
}

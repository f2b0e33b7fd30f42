//! EXAONE 4 (LG AI Research 2025, arXiv:2507.11407): norms after blocks instead of before. The 32B
//! model has rotary positions only in layers that attend to a sliding window; so have those with
//! experts (K-EXAONE), which norm inputs again.

use super::prelude::*;

/// The model with sliding windows.
const LAYERS_32B: usize = 64;
const WINDOW_32B: usize = 4096;
/// Every fourth layer attends to everything, unless the file says otherwise.
const PATTERN: usize = 4;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let size = match hp.n_layer {
        LAYERS_32B => keys.opt_usize("attention.sliding_window")?.unwrap_or(WINDOW_32B),
        _ => 0,
    };
    let window = Window::with_size(keys, hp, size, PATTERN)?;
    let model = Decoder::load(source, norm, |il, w| {
        let mut attention =
            Attention::load(w, hp, il)?.with_mask(window.mask(il)).with_head_norms(w, norm)?;
        if window.slides(il) || !window.any() {
            attention = attention.with_rope(&rope);
        }
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        Layer::bare(attention, ffn).with_post_norms(w, norm, hp.n_embd)
    })?;
    Ok(Arc::new(model))
}

pub(super) fn load_moe(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let window = Window::load(keys, hp, PATTERN)?;
    let experts = source.sigmoid_routing()?;
    let model = Decoder::load(source, norm, |il, w| {
        let mut attention =
            Attention::load(w, hp, il)?.with_mask(window.mask(il)).with_head_norms(w, norm)?;
        if window.slides(il) {
            attention = attention.with_rope(&rope);
        }
        Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &experts)?)
    })?;
    Ok(Arc::new(model))
}

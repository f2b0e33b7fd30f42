//! OLMo (Groeneveld et al. 2024, arXiv:2402.00838): norms without parameters. OLMo 2 and 3 (2025,
//! arXiv:2501.00656) norm the results of blocks, not their inputs, and all queries and keys of a
//! token at once, as OLMoE does (Muennighoff et al. 2024, arXiv:2409.02060).

use super::prelude::*;

/// Every fourth layer attends to everything, unless the file says otherwise.
const PATTERN: usize = 4;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.layer_norm()?, source.rope(RopeLayout::Norm)?);
    let clamp = keys.opt_f32("attention.clamp_kqv")?.filter(|&limit| limit > 0.0);
    let model = Decoder::with_last_norm(source, norm.plain(), |il, w| {
        let mut attention = Attention::load(w, hp, il)?.with_rope(&rope);
        attention.clamp = clamp;
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        Ok(Layer {
            attn_norm: Some(norm.plain()),
            ffn_norm: Some(norm.plain()),
            ..Layer::bare(attention, ffn)
        })
    })?;
    Ok(Arc::new(model))
}

pub(super) fn load_2(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let rope_sliding = Arc::new(rope.unscaled(rope.freq_base));
    let window = Window::load(keys, hp, PATTERN)?;
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?
            .with_mask(window.mask(il))
            .with_rope(if window.slides(il) { &rope_sliding } else { &rope })
            .with_row_norms(w, norm)?;
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        Layer::bare(attention, ffn).with_post_norms(w, norm, hp.n_embd)
    })?;
    Ok(Arc::new(model))
}

pub(super) fn load_moe(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let experts = source.routing()?;
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope).with_row_norms(w, norm)?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &experts)?)
    })?;
    Ok(Arc::new(model))
}

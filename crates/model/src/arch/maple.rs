//! Maple (2026): experts with clamped gates, and rotary positions only in layers that attend to a
//! sliding window.

use backend::Glu;

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let rope_sliding = rope.sliding(keys)?;
    let rope_sliding = rope_sliding.with_width(keys.opt_width("rope.dimension_count_swa")?)?;
    let window = Window::load_flags(keys, hp)?;
    let limits = keys.floats("swiglu_clamp_exp", hp.n_layer)?.unwrap_or(vec![0.0; hp.n_layer]);
    let experts = Routing::softmax(hp.n_expert_used);
    let model = Decoder::load(source, norm, |il, w| {
        let mut attention =
            Attention::load(w, hp, il)?.with_mask(window.mask(il)).with_head_norms(w, norm)?;
        if window.slides(il) {
            attention = attention.with_rope(&rope_sliding);
        }
        let glu = match limits[il] {
            limit if limit > 1e-6 => Glu::ClampedSilu { limit },
            _ => Activation::Silu.into(),
        };
        let experts = Moe::load(w, hp, experts.clone(), glu)?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, experts)
    })?;
    Ok(Arc::new(model))
}

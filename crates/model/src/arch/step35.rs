//! Step 3.5 (StepFun 2026): attention whose heads open by gates, layers on sliding windows with a
//! rotation of their own, and clamped gates in some feed-forwards.

use backend::Glu;

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let norm = source.rms_norm()?;
    let rope = source.rope(RopeLayout::Neox)?;
    let rope_sliding = rope.unscaled_sliding(keys, 10_000.0)?.without_factors();
    let rope_sliding = rope_sliding.with_width(keys.opt_width("rope.dimension_count_swa")?)?;
    // Layers that attend to everything rotate half of what the file says.
    let ropes = [&rope.with_width(Some(hp.n_rot / 2))?, &rope_sliding];
    let window = Window::load_flags(keys, hp)?;
    let experts = source.sigmoid_routing()?;
    let glu = |key: &str| {
        let limits = keys.floats(key, hp.n_layer)?.unwrap_or(vec![0.0; hp.n_layer]);
        let glu = |limit| match limit > 1e-6 {
            true => Glu::SiluClamped { limit },
            false => Activation::Silu.into(),
        };
        Ok::<Vec<Glu>, Error>(limits.into_iter().map(glu).collect())
    };
    let (of_experts, of_shared) = (glu("swiglu_clamp_exp")?, glu("swiglu_clamp_shexp")?);
    let model = Decoder::load(source, norm, |il, w| {
        let mut attention = Attention::load(w, hp, il)?
            .with_mask(window.mask(il))
            .with_rope(ropes[usize::from(window.slides(il))])
            .with_opt_head_norms(w, norm)?;
        if w.has("attn_gate.weight") {
            attention = attention.with_gate(w, hp.n_embd, Activation::Sigmoid)?;
        }
        let ffn: Box<dyn FeedForward> = match w.has("ffn_gate_inp.weight") {
            false => Box::new(Ffn::gated(w, hp.n_embd, of_shared[il])?),
            true => {
                let mut moe = Moe::load(w, hp, experts.clone(), of_experts[il])?;
                let shared = Ffn::gated_named(w, "_shexp", hp.n_embd, of_shared[il])?;
                moe.shared = Some((shared, None));
                Box::new(moe)
            }
        };
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

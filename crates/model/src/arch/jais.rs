//! Jais (Sengupta et al. 2023, arXiv:2308.16149): linear biases, and scores scaled by the width of
//! heads.

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let (hp, norm) = (&source.hp, source.layer_norm()?);
    let max_bias = source.keys.opt_f32("attention.max_alibi_bias")?.unwrap_or(0.0);
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_alibi(max_bias);
        let attention = attention.with_scale(1.0 / hp.head_dim as f32);
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

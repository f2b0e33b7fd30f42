//! Apertus (Swiss AI 2025, arXiv:2509.14233): norms of queries and keys, and xIELU without gates.

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let [alpha_p, alpha_n, beta, eps] =
        ["alpha_p", "alpha_n", "beta", "eps"].map(|name| format!("xielu.{name}"));
    let parameter = |key: &str| keys.global_floats(key, hp.n_layer);
    let (alpha_p, alpha_n) = (parameter(&alpha_p)?, parameter(&alpha_n)?);
    let (beta, eps) = (parameter(&beta)?, parameter(&eps)?);
    let softplus = |x: f32| x.max(0.0) + (-x.abs()).exp().ln_1p();
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope).with_head_norms(w, norm)?;
        let activation = Activation::Xielu {
            alpha_p: softplus(alpha_p[il]),
            alpha_n: beta[il] + softplus(alpha_n[il]),
            beta: beta[il],
            eps: eps[il],
        };
        let ffn = Ffn::plain(w, hp.n_embd, activation)?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

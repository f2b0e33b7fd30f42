//! MPT (MosaicML 2023): linear biases instead of positions, or learned ones; clamped projections.

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights } = source;
    let norm = source.layer_norm()?;
    let clamp = keys.opt_f32("attention.clamp_kqv")?.filter(|&limit| limit > 0.0);
    let max_bias = keys.opt_f32("attention.max_alibi_bias")?.unwrap_or(0.0);
    let mut model = Decoder::load(source, norm, |il, w| {
        let mut attention = Attention::load(w, hp, il)?.with_alibi(max_bias);
        attention.clamp = clamp;
        if w.has("attn_q_norm.weight") {
            attention = attention.with_row_norms(w, norm)?;
        }
        let mut ffn = Ffn::plain(w, hp.n_embd, Activation::GeluTanh)?;
        let divisors = w.opt_vector("ffn.act.scales", ffn.width())?;
        ffn.hidden_scale = divisors.map(|d| d.iter().map(|d| 1.0 / d).collect::<Vec<_>>().into());
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    if weights.has("position_embd.weight") {
        model.embedding.positions = Some(weights.table("position_embd.weight", hp.n_embd)?);
    }
    Ok(Arc::new(model))
}

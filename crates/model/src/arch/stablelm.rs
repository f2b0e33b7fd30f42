//! StableLM (Bellagente et al. 2024, arXiv:2402.17834) and Orion. The 12B model has norms of each
//! query and key head, and no norm before its feed-forward, which stands beside attention.

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.layer_norm()?, source.rope(RopeLayout::Neox)?);
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope);
        let attention = attention.with_opt_head_norms(w, norm)?;
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        match w.has("ffn_norm.weight") {
            true => Layer::pre_norm(w, norm, hp.n_embd, attention, ffn),
            false => Layer::parallel(w, norm, hp.n_embd, attention, ffn),
        }
    })?;
    Ok(Arc::new(model))
}

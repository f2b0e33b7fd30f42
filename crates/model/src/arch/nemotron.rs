//! Nemotron-4 (Parmar et al. 2024, arXiv:2402.16819) and Jais 2: squared ReLU.

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.layer_norm()?, source.rope(RopeLayout::Neox)?);
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope);
        let ffn = Ffn::plain(w, hp.n_embd, Activation::ReluSquared)?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

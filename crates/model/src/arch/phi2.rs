//! Phi-1 to Phi-2 (Gunasekar et al. 2023, arXiv:2306.11644): attention and feed-forward side by side.

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.layer_norm()?, source.rope(RopeLayout::Neox)?);
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope);
        let ffn = Ffn::plain(w, hp.n_embd, Activation::GeluTanh)?;
        Layer::parallel(w, norm, hp.n_embd, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

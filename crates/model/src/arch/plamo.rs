//! PLaMo (Preferred Networks 2023): attention and feed-forward side by side.

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope);
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        Layer::parallel(w, norm, hp.n_embd, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

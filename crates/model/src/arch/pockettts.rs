//! Pocket TTS (Kyutai 2026), its language model: layer norms without biases of other parts.

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.layer_norm()?, source.rope(RopeLayout::Norm)?);
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope);
        let ffn = Ffn::plain(w, hp.n_embd, Activation::GeluTanh)?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

//! Falcon (Almazrouei et al. 2023, arXiv:2311.16867): attention and feed-forward side by side; the
//! larger models have a norm for each.

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.layer_norm()?, source.rope(RopeLayout::Neox)?);
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope);
        let ffn = Ffn::plain(w, hp.n_embd, Activation::GeluTanh)?;
        let layer = Layer::parallel(w, norm, hp.n_embd, attention, ffn)?;
        Ok(match norm.opt(w, "attn_norm_2", hp.n_embd)? {
            Some(own) => Layer { ffn_norm: layer.attn_norm, attn_norm: Some(own), ..layer },
            None => layer,
        })
    })?;
    Ok(Arc::new(model))
}

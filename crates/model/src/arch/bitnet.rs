//! BitNet b1.58 (Ma et al. 2024, arXiv:2402.17764): norms before the last product of each block.

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let model = Decoder::load(source, norm, |il, w| {
        let mut attention = Attention::load(w, hp, il)?.with_rope(&rope);
        attention.sub_norm = Some(norm.load(w, "attn_sub_norm", hp.n_embd)?);
        let mut ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        ffn.sub_norm = Some(norm.load(w, "ffn_sub_norm", ffn.width())?);
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

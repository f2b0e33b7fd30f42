//! NeoBERT (Le Breton et al. 2025, arXiv:2502.19587), an encoder with norms before its blocks and
//! rotary positions.

use super::prelude::*;
use crate::blocks::pooling::{Pooler, Pooling};

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Norm)?);
    let last = norm.load(&source.weights, "enc.output_norm", hp.n_embd)?;
    let model = Decoder::with_last_norm(source, last, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope).with_mask(Mask::Full);
        let ffn = Ffn::fused(w, "", hp.n_embd, Activation::Silu)?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    let pooler = Pooler::load(source)?;
    let pooler = pooler.with_classifier(source, Pooling::First, Activation::Tanh)?;
    Ok(Arc::new(model.with_pooler(pooler)))
}

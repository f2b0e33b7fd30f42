//! Ling (Ant Group 2025, arXiv:2503.05139): heads as wide as what is rotated.

use super::prelude::*;
use crate::hparams::Heads;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Norm)?);
    let experts = source.routing()?;
    let model = Decoder::load(source, norm, |il, w| {
        let heads = Heads { head_dim: hp.n_rot, head_dim_v: hp.n_rot, ..hp.heads(il)? };
        let attention = Attention::with_heads(w, hp.n_embd, heads)?.with_rope(&rope);
        Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &experts)?)
    })?;
    Ok(Arc::new(model))
}

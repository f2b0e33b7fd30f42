//! GPT-2 (Radford et al. 2019) and StarCoder (Li et al. 2023, arXiv:2305.06161): learned embeddings
//! of positions.

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let (hp, norm) = (&source.hp, source.layer_norm()?);
    let mut model = Decoder::load(source, norm, |il, w| {
        let ffn = Ffn::plain(w, hp.n_embd, Activation::GeluTanh)?;
        Layer::pre_norm(w, norm, hp.n_embd, Attention::load(w, hp, il)?, ffn)
    })?;
    model.embedding.positions = Some(source.weights.table("position_embd.weight", hp.n_embd)?);
    Ok(Arc::new(model))
}

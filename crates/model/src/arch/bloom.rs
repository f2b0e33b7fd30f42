//! BLOOM (Le Scao et al. 2022, arXiv:2211.05100): linear biases instead of positions, and a norm of
//! the embeddings.

use super::prelude::*;

const MAX_ALIBI_BIAS: f32 = 8.0;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let (hp, norm) = (&source.hp, source.layer_norm()?);
    let mut model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_alibi(MAX_ALIBI_BIAS);
        let ffn = Ffn::plain(w, hp.n_embd, Activation::GeluTanh)?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    model.embedding.norm = Some(norm.load(&source.weights, "token_embd_norm", hp.n_embd)?);
    Ok(Arc::new(model))
}

//! Baichuan (Yang et al. 2023, arXiv:2309.10305): the 7B model has rotary positions, the 13B model
//! linear biases.

use super::prelude::*;

const LAYERS_7B: usize = 32;
const LAYERS_13B: usize = 40;
const MAX_ALIBI_BIAS: f32 = 8.0;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Norm)?);
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?;
        let attention = match hp.n_layer {
            LAYERS_7B => attention.with_rope(&rope),
            LAYERS_13B => attention.with_alibi(MAX_ALIBI_BIAS),
            _ => attention,
        };
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

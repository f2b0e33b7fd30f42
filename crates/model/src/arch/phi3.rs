//! Phi-3 to Phi-4, and Phi-3.5-MoE (Abdin et al. 2024, arXiv:2404.14219): LongRoPE, and gates fused
//! with what they gate. Their sliding windows are not used, as in llama.cpp.

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let experts = source.normalized_routing()?;
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope);
        let ffn: Box<dyn FeedForward> = match w.has("ffn_gate_inp.weight") {
            true => Box::new(Moe::load(w, hp, experts.clone(), Activation::Silu)?),
            false => Box::new(Ffn::fused(w, "", hp.n_embd, Activation::Silu)?),
        };
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

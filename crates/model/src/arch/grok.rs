//! Grok (xAI 2024): norms after each block, soft limits, and experts beside a dense feed-forward.

use std::f32::consts::FRAC_1_SQRT_2;

use super::prelude::*;

// Factors of files that don't name them.
const LOGIT_SCALE: f32 = 0.577_350_26;
const EMBEDDING_SCALE: f32 = 78.383_675;
const ATTENTION_SCALE: f32 = 0.088_388_35;
const SOFTCAP: f32 = 30.0;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let experts = source.normalized_routing()?;
    let scale = keys.opt_f32("attention.output_scale")?.unwrap_or(ATTENTION_SCALE);
    let softcap = keys.opt_f32("attn_logit_softcapping")?.unwrap_or(SOFTCAP);
    let mut model = Decoder::load(source, norm, |il, w| {
        let attention =
            Attention::load(w, hp, il)?.with_rope(&rope).with_scale(scale).with_softcap(softcap);
        let moe = Moe::load(w, hp, experts.clone(), Activation::GeluTanh)?;
        let ffn: Box<dyn FeedForward> = match w.has("ffn_up.weight") {
            true => Box::new(Beside(moe, Ffn::gated(w, hp.n_embd, Activation::GeluTanh)?)),
            false => Box::new(moe),
        };
        let last = match norm.opt(w, "layer_output_norm", hp.n_embd)? {
            Some(norm) => norm,
            None => norm.load(w, "post_ffw_norm", hp.n_embd)?,
        };
        Ok(Layer {
            attn_post_norm: Some(norm.load(w, "attn_output_norm", hp.n_embd)?),
            ffn_post_norm: Some(last),
            ..Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)?
        })
    })?;
    model.embedding.scale = keys.opt_f32("embedding_scale")?.unwrap_or(EMBEDDING_SCALE);
    model.head.scale = keys.opt_f32("logit_scale")?.unwrap_or(LOGIT_SCALE);
    model.head.softcap = keys.opt_f32("final_logit_softcapping")?.unwrap_or(0.0);
    Ok(Arc::new(model))
}

/// Experts and a dense feed-forward, of which each counts by the root of a half.
struct Beside(Moe, Ffn);

impl FeedForward for Beside {
    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let sum = self.1.forward(cx, x);
        let experts = self.0.forward(cx, x);
        cx.add_assign(sum, experts);
        cx.scale(sum, FRAC_1_SQRT_2);
        sum
    }
}

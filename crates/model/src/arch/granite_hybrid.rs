//! Granite 4 (IBM 2025): layers of Mamba-2 and of attention, with Granite's scales.

use super::prelude::*;
use crate::blocks::ssm::{Mamba2, SsmShape};

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Norm)?);
    let shape = SsmShape::load(keys, hp.n_embd)?;
    let factor = |key: &str| Ok::<_, Error>(keys.opt_f32(key)?.filter(|&factor| factor != 0.0));
    let (residual_scale, scale) = (factor("residual_scale")?, factor("attention.scale")?);
    // Granite's switch for rotary positions.
    let rotates = keys.opt_bool("rope.scaling.finetuned")?.unwrap_or(true);
    let experts = Routing::softmax(hp.n_expert_used);
    let mut model = Decoder::load(source, norm, |il, w| {
        let mixer: Box<dyn Mixer> = if hp.n_head_kv[il] == 0 {
            Box::new(Mamba2::load(w, shape, norm)?)
        } else {
            let mut attention = Attention::load(w, hp, il)?;
            if rotates {
                attention = attention.with_rope(&rope);
            }
            if let Some(scale) = scale {
                attention = attention.with_scale(scale);
            }
            Box::new(attention)
        };
        let ffn = silu_ffn(w, hp, &experts)?;
        let layer = Layer::pre_norm(w, norm, hp.n_embd, mixer, ffn)?;
        Ok(Layer { residual_scale: residual_scale.unwrap_or(1.0), ..layer })
    })?;
    model.embedding.scale = factor("embedding_scale")?.unwrap_or(1.0);
    model.head.scale = factor("logit_scale")?.map_or(1.0, |scale| 1.0 / scale);
    Ok(Arc::new(model))
}

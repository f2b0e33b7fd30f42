//! gpt-oss (OpenAI 2025, arXiv:2508.10925): attention sinks, every other layer on a sliding window,
//! and experts with biases and clamped gates.

use backend::{Gating, Glu};

use super::prelude::*;
use crate::hparams::Heads;

/// Every second layer attends to everything, unless the file says otherwise.
const PATTERN: usize = 2;
const SWISH: Glu = Glu::ClampedSwish { alpha: 1.702, limit: 7.0 };

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let ropes = [&rope, &rope.sliding(keys)?];
    let window = Window::load(keys, hp, PATTERN)?;
    let experts =
        Routing { gating: Gating::SoftmaxOfChosen, normalize: false, ..source.routing()? };
    let model = Decoder::load(source, norm, |il, w| {
        let heads = Heads { head_dim: hp.n_rot, head_dim_v: hp.n_rot, ..hp.heads(il)? };
        let attention = Attention::with_heads(w, hp.n_embd, heads)?
            .with_mask(window.mask(il))
            .with_rope(ropes[usize::from(window.slides(il))])
            .with_sinks(w)?;
        Ok(Layer {
            attn_norm: Some(norm.load(w, "attn_norm", hp.n_embd)?),
            ffn_norm: Some(norm.load(w, "post_attention_norm", hp.n_embd)?),
            ..Layer::bare(attention, Moe::load(w, hp, experts.clone(), SWISH)?)
        })
    })?;
    Ok(Arc::new(model))
}

//! PLaMo 3 (Preferred Networks 2025): norms before and after blocks, and layers on sliding windows
//! with a rotation of their own.

use super::prelude::*;

/// Every eighth layer attends to everything, unless the file says otherwise.
const PATTERN: usize = 8;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let ropes = [&rope, &rope.unscaled_sliding(keys, 10_000.0)?];
    let window = Window::load(keys, hp, PATTERN)?;
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?
            .with_mask(window.mask(il))
            .with_rope(ropes[usize::from(window.slides(il))])
            .with_head_norms(w, norm)?;
        let ffn = Ffn::fused(w, "", hp.n_embd, Activation::Silu)?;
        // These names have no suffix.
        let post_norm = |name| {
            let weight = w.vector(name, hp.n_embd)?;
            Ok::<_, Error>(Some(norm.with_weight(hp.n_embd, weight)))
        };
        Ok(Layer {
            attn_post_norm: post_norm("post_attention_norm")?,
            ffn_post_norm: post_norm("post_ffw_norm")?,
            ..Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)?
        })
    })?;
    Ok(Arc::new(model))
}

//! ModernBERT (Warner et al. 2024, arXiv:2412.13663), an encoder most of whose layers see only their
//! neighbourhood.

use super::prelude::*;
use crate::blocks::pooling::{Pooler, Pooling};

/// The first of three layers sees everything, unless the file says otherwise.
const PATTERN: usize = 3;
/// Base of the rotations in layers that slide, unless the file says otherwise.
const SLIDING_FREQ_BASE: f32 = 10_000.0;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights } = source;
    if let Some(n) = keys.opt_usize("decision.block_count")?.filter(|&n| n > 0) {
        let expected = "0: models with a head for decisions are not supported".into();
        return Err(Error::Value {
            key: "decision.block_count".into(),
            value: n.to_string(),
            expected,
        });
    }
    let norm = source.layer_norm()?;
    let window = Window::load_dense_first(keys, hp, PATTERN)?;
    let rope = source.rope(RopeLayout::Neox)?;
    let ropes = [&rope, &rope.unscaled_sliding(keys, SLIDING_FREQ_BASE)?];
    let glu = match keys.opt_str("hidden_activation")? {
        Some("silu" | "swish" | "swiglu") => Activation::Silu,
        Some("relu" | "reglu") => Activation::Relu,
        _ => Activation::GeluTanh,
    };
    let mut model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?
            .with_mask(window.mask_both_ways(il))
            .with_rope(ropes[usize::from(window.slides(il))]);
        // The first layer's input is the norm of the embeddings.
        let attn_norm = norm.opt(w, "attn_norm", hp.n_embd)?;
        let ffn_norm = Some(norm.load(w, "ffn_norm", hp.n_embd)?);
        Ok(Layer {
            attn_norm,
            ffn_norm,
            ..Layer::bare(attention, Ffn::fused(w, "", hp.n_embd, glu)?)
        })
    })?;
    model.embedding.norm = Some(norm.load(weights, "token_embd_norm", hp.n_embd)?);
    let pooler = Pooler::load(source)?;
    let pooler = pooler.with_classifier(source, Pooling::Mean, Activation::GeluTanh)?;
    Ok(Arc::new(model.with_pooler(pooler)))
}

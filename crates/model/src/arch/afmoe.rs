//! Trinity (Arcee 2025): gated attention, norms after each block, and no rotary positions in the
//! layers that attend to everything.

use super::prelude::*;

/// Every fourth layer attends to everything, unless the file says otherwise.
const PATTERN: usize = 4;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let ropes = [&rope, &rope.sliding(keys)?];
    let window = Window::load(keys, hp, PATTERN)?;
    let experts = source.sigmoid_routing()?;
    let mut model = Decoder::load(source, norm, |il, w| {
        let mut attention = Attention::load(w, hp, il)?
            .with_mask(window.mask(il))
            .with_head_norms(w, norm)?
            .with_gate(w, hp.n_embd, Activation::Sigmoid)?;
        if (il + 1) % PATTERN != 0 {
            attention = attention.with_rope(ropes[usize::from(window.slides(il))]);
        }
        let ffn = silu_ffn(w, hp, &experts)?;
        let layer = Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)?;
        layer.with_post_norms(w, norm, hp.n_embd)
    })?;
    model.embedding.scale = (hp.n_embd as f32).sqrt();
    Ok(Arc::new(model))
}

//! Laguna (Poolside 2026): attention whose output opens by the softplus of a gate, and plain rotary
//! positions, of a width of their own, in layers that attend to a sliding window.

use super::prelude::*;

/// Every fourth layer, the first of them, attends to everything, unless the file says otherwise.
const PATTERN: usize = 4;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let rope_sliding = rope.unscaled_sliding(keys, rope.freq_base)?;
    let rope_sliding = rope_sliding.with_width(keys.opt_width("rope.dimension_count_swa")?)?;
    let ropes = [&rope, &rope_sliding];
    let window = Window::load_dense_first(keys, hp, PATTERN)?;
    let experts = source.sigmoid_routing()?;
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?
            .with_mask(window.mask(il))
            .with_rope(ropes[usize::from(window.slides(il))])
            .with_head_norms(w, norm)?
            .with_gate(w, hp.n_embd, Activation::Softplus)?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &experts)?)
    })?;
    Ok(Arc::new(model))
}

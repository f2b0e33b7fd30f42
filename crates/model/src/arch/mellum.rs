//! Mellum 2 (JetBrains 2026): Qwen3 MoE with layers on sliding windows, whose rotary positions are
//! not scaled.

use super::prelude::*;

/// Every fourth layer attends to everything, unless the file says otherwise.
const PATTERN: usize = 4;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let ropes = [&rope, &Arc::new(rope.unscaled(rope.freq_base))];
    let window = Window::load(keys, hp, PATTERN)?;
    let experts = source.normalized_routing()?;
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?
            .with_mask(window.mask(il))
            .with_rope(ropes[usize::from(window.slides(il))])
            .with_head_norms(w, norm)?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &experts)?)
    })?;
    Ok(Arc::new(model))
}

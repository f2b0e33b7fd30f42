//! Spark 2.5 (iFlytek 2026): attention whose heads open by gates, and layers on sliding windows.

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let rope_sliding = rope.sliding(keys)?;
    let rope_sliding = rope_sliding.with_width(keys.opt_width("rope.dimension_count_swa")?)?;
    let ropes = [&rope, &rope_sliding];
    let window = Window::load_flags(keys, hp)?;
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?
            .with_mask(window.mask(il))
            .with_rope(ropes[usize::from(window.slides(il))])
            .with_gate(w, hp.n_embd, Activation::Sigmoid)?;
        let ffn = Ffn::gated(w, hp.n_embd, Activation::GeluTanh)?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

//! MiMo-V2 (Xiaomi 2026): layers on sliding windows have heads, sinks and a rotation of their own;
//! heads of values are narrower than those of keys.

use backend::Gating;

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let ropes = [&rope, &rope.unscaled_sliding(keys, 10_000.0)?];
    let window = Window::load_flags(keys, hp)?;
    let value_scale = keys.opt_f32("attention.value_scale")?.filter(|&scale| scale != 0.0);
    let experts = source.sigmoid_routing()?;
    let experts = Routing { gating: Gating::Sigmoid, normalize: true, ..experts };
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?
            .with_mask(window.mask(il))
            .with_rope(ropes[usize::from(window.slides(il))])
            .with_opt_sinks(w)?
            .with_output_scale(value_scale.unwrap_or(1.0));
        Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &experts)?)
    })?;
    Ok(Arc::new(model))
}

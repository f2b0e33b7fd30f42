//! DBRX (Databricks 2024): fine-grained experts and clamped projections.

use super::prelude::*;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.layer_norm()?, source.rope(RopeLayout::Neox)?);
    let clamp = keys.f32("attention.clamp_kqv")?;
    let experts = source.normalized_routing()?;
    let model = Decoder::load(source, norm, |il, w| {
        let mut attention = Attention::load(w, hp, il)?.with_rope(&rope);
        attention.clamp = (clamp > 0.0).then_some(clamp);
        Ok(Layer {
            attn_norm: Some(norm.load(w, "attn_norm", hp.n_embd)?),
            ffn_norm: Some(norm.load(w, "attn_output_norm", hp.n_embd)?),
            ..Layer::bare(attention, silu_ffn(w, hp, &experts)?)
        })
    })?;
    Ok(Arc::new(model))
}

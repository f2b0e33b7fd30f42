//! Refact (Small Magellanic Cloud 2023): linear biases instead of positions.

use super::prelude::*;

const MAX_ALIBI_BIAS: f32 = 8.0;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let (hp, norm) = (&source.hp, source.rms_norm()?);
    let experts = source.normalized_routing()?;
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_alibi(MAX_ALIBI_BIAS);
        Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &experts)?)
    })?;
    Ok(Arc::new(model))
}

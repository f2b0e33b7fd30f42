//! DeepSeek-V2 and V3 (arXiv:2405.04434, arXiv:2412.19437), and Mistral 4: latent attention and many
//! small experts.

use backend::Gating;

use super::prelude::*;
use crate::blocks::attention::Temperature;
use crate::blocks::mla::{Mla, MlaSizes};
use crate::blocks::rope::Rope;

/// Files store the multiplier of YaRN's growth times this.
const LOG_UNIT: f32 = 0.1;
/// GLM-4.7 Flash, whose files may not say that it chooses experts by sigmoids.
const GLM_VOCABULARY: usize = 154_880;
const GLM_LAYERS: [usize; 2] = [47, 48];

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load_grown(source, |_, _| 1.0)
}

pub(super) fn load_mistral(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load_grown(source, |usual, own| usual / own)
}

fn load_grown(
    source: &Source<'_>,
    rotations: impl Fn(f32, f32) -> f32,
) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, sizes) = (source.rms_norm()?, MlaSizes::load(keys, hp)?);
    let Scaled { rope, scale } = scaled(source, sizes, rotations)?;
    let temperature = Temperature::load(keys, rope.n_ctx_orig)?;
    let (rope, experts) = (Arc::new(rope), routing(source)?);
    let model = Decoder::load(source, norm, |_, w| {
        let mut attention = Mla::load(w, sizes, norm, &rope, scale)?;
        attention.temperature = temperature;
        Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &experts)?)
    })?;
    Ok(Arc::new(model))
}

/// Rotations and the factor of scores.
pub(super) struct Scaled {
    pub rope: Rope,
    pub scale: f32,
}

/// With a multiplier of their own, scores grow by it instead of rotations; `rotations` is what
/// remains for these, given YaRN's usual growth and that of the scores.
pub(super) fn scaled(
    source: &Source<'_>,
    sizes: MlaSizes,
    rotations: impl Fn(f32, f32) -> f32,
) -> Result<Scaled, Error> {
    let Source { keys, hp, weights } = source;
    let mut rope = Rope::load_for(keys, weights, hp, sizes.rope, RopeLayout::Norm)?;
    let growth = |multiplier: f32| 1.0 + 0.1 * multiplier * (1.0 / rope.freq_scale).ln();
    let multiplier = keys.opt_f32("rope.scaling.yarn_log_multiplier")?.unwrap_or(0.0) / LOG_UNIT;
    let (usual, own) = (growth(1.0), growth(multiplier));
    if rope.yarn.is_some() && multiplier != 0.0 {
        let attn_factor = keys.opt_f32("rope.scaling.attn_factor")?.unwrap_or(1.0);
        rope.magnitude = attn_factor * rotations(usual, own);
    }
    let grown = own * rope.magnitude * if rope.yarn.is_some() { 1.0 } else { usual };
    let scale = grown * grown / ((sizes.nope + sizes.rope) as f32).sqrt();
    Ok(Scaled { rope, scale })
}

fn routing(source: &Source<'_>) -> Result<Routing, Error> {
    let Source { keys, hp, weights } = source;
    let n_vocab = weights.table("token_embd.weight", hp.n_embd)?.rows();
    let routing = source.routing()?;
    let silent = keys.opt_usize("expert_gating_func")?.unwrap_or(0) == 0;
    if silent && n_vocab == GLM_VOCABULARY && GLM_LAYERS.contains(&hp.n_layer) {
        return Ok(Routing { gating: Gating::Sigmoid, ..routing });
    }
    Ok(routing)
}

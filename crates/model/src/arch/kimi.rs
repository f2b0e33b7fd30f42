//! Kimi Linear (Kimi Team 2025, arXiv:2510.26692): layers of delta attention and of latent attention
//! without positions, with experts.

use super::prelude::*;
use crate::blocks::delta_net::{DecayBound, Kda, KdaShape};
use crate::blocks::mla::{Mla, MlaSizes};

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, experts) = (source.rms_norm()?, source.normalized_routing()?);
    let (shape, sizes) = (KdaShape::load(keys, hp)?, MlaSizes::load(keys, hp)?);
    let scale = 1.0 / ((sizes.nope + sizes.rope) as f32).sqrt();
    Ok(Arc::new(Decoder::load(source, norm, |il, w| {
        let mixer: Box<dyn Mixer> = match hp.n_head_kv[il] {
            0 => Box::new(Kda::load(w, shape, DecayBound::None)?),
            _ => Box::new(Mla::load(w, sizes, norm, None, scale)?),
        };
        Layer::pre_norm(w, norm, hp.n_embd, mixer, silu_ffn(w, hp, &experts)?)
    })?))
}

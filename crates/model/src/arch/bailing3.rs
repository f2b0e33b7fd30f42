//! Ling 3 (`bailingmoe3`, Ant Group 2026): layers of delta attention and of latent attention with
//! gated heads, and experts with clamped gates.

use backend::Glu;

use super::prelude::*;
use crate::blocks::delta_net::{DecayBound, Kda, KdaShape};
use crate::blocks::mla::{Mla, MlaSizes};
use crate::blocks::moe::{gated_ffn, silu_limits};

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, experts) = (source.rms_norm()?, source.routing()?);
    let (shape, sizes) = (KdaShape::load(keys, hp)?, MlaSizes::load(keys, hp)?);
    let bound = DecayBound::Below { bound: keys.f32("kda.gate_lower_bound")?, sign: 1.0 };
    let scale = 1.0 / ((sizes.nope + sizes.rope) as f32).sqrt();
    let rope = source.latent_mrope(sizes.rope)?;
    let gates = silu_limits(keys, hp, |limit| Glu::SiluClamped { limit })?;
    Ok(Arc::new(Decoder::load(source, norm, |il, w| {
        let mixer: Box<dyn Mixer> = match hp.n_head_kv[il] {
            0 => Box::new(Kda::load(w, shape, bound)?),
            _ => Box::new(Mla::load(w, sizes, norm, &rope, scale)?.with_gate(w)?),
        };
        let ffn = gated_ffn(w, hp, &experts, gates(il))?;
        Layer::pre_norm(w, norm, hp.n_embd, mixer, ffn)
    })?))
}

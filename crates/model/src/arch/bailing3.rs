//! Ling 3 (`bailingmoe3`, Ant Group 2026): layers of delta attention and of latent attention with
//! gated heads, and experts with clamped gates.

use backend::Glu;

use super::prelude::*;
use crate::blocks::delta_net::{DecayBound, Kda, KdaShape};
use crate::blocks::mla::{Mla, MlaSizes};

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, experts) = (source.rms_norm()?, source.routing()?);
    let (shape, sizes) = (KdaShape::load(keys, hp)?, MlaSizes::load(keys, hp)?);
    let bound = DecayBound::Below { bound: keys.f32("kda.gate_lower_bound")?, sign: 1.0 };
    let scale = 1.0 / ((sizes.nope + sizes.rope) as f32).sqrt();
    let rope = source.latent_mrope(sizes.rope)?;
    let limits = |key: &str| Ok::<_, Error>(keys.floats(key, hp.n_layer)?.unwrap_or_default());
    let (of_experts, of_shared) = (limits("swiglu_clamp_exp")?, limits("swiglu_clamp_shexp")?);
    let clamped = |limits: &[f32], il: usize| match limits.get(il) {
        Some(&limit) if limit > 1e-6 => Glu::SiluClamped { limit },
        _ => Activation::Silu.into(),
    };
    Ok(Arc::new(Decoder::load(source, norm, |il, w| {
        let mixer: Box<dyn Mixer> = match hp.n_head_kv[il] {
            0 => Box::new(Kda::load(w, shape, bound)?),
            _ => Box::new(Mla::load(w, sizes, norm, &rope, scale)?.with_gate(w)?),
        };
        let shared = clamped(&of_shared, il);
        let ffn: Box<dyn FeedForward> = match w.has("ffn_gate_inp.weight") {
            false => Box::new(Ffn::gated(w, hp.n_embd, shared)?),
            true => {
                let experts = experts.clone();
                let mut moe = Moe::routed(w, hp, hp.n_embd, experts, clamped(&of_experts, il))?;
                moe.shared = Some((Ffn::gated_named(w, "_shexp", hp.n_embd, shared)?, None));
                Box::new(moe)
            }
        };
        Layer::pre_norm(w, norm, hp.n_embd, mixer, ffn)
    })?))
}

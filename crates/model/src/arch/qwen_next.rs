//! Qwen3-Next and Qwen3.5 (Qwen Team 2025): layers of gated delta net and of attention with a gate,
//! dense or with experts.

use backend::HeadSharing;

use super::prelude::*;
use crate::blocks::delta_net::GatedDeltaNet;
use crate::blocks::ssm::SsmShape;

/// Period of full attention where the file doesn't say.
const FULL_ATTENTION_INTERVAL: usize = 4;

pub(super) fn load_3_next(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    source.keys.count("expert_count")?;
    load(source, HeadSharing::Neighbours)
}

pub(super) fn load_3_5(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load(source, HeadSharing::InTurns)
}

pub(super) fn load_3_5_moe(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    source.keys.count("expert_count")?;
    load(source, HeadSharing::InTurns)
}

/// Qwen3.5 without its head.
pub(super) fn load_backbone(source: &Source<'_>) -> Result<Decoder, Error> {
    load_decoder(source, HeadSharing::InTurns)
}

fn load(source: &Source<'_>, sharing: HeadSharing) -> Result<Arc<dyn Model>, Error> {
    Ok(Arc::new(load_decoder(source, sharing)?))
}

fn load_decoder(source: &Source<'_>, sharing: HeadSharing) -> Result<Decoder, Error> {
    let Source { keys, hp, .. } = source;
    let eps = keys.f32("attention.layer_norm_rms_epsilon")?;
    let (norm, rope) = (NormKind::Rms(eps), source.mrope(RopeLayout::Neox, true)?);
    let shape = SsmShape::load(keys, hp.n_embd)?;
    let recurrent = keys.recurrent_layers(hp.n_layer, FULL_ATTENTION_INTERVAL)?;
    let scale = keys.opt_f32("attention.scale")?.filter(|&scale| scale != 0.0);
    let experts = source.normalized_routing()?;
    Decoder::load(source, norm, |il, w| {
        let mixer: Box<dyn Mixer> = if recurrent[il] {
            Box::new(GatedDeltaNet::load(w, shape, eps, sharing)?)
        } else {
            let mut attention = Attention::load_with_query_gate(w, hp, il)?.with_rope(&rope);
            if let Some(scale) = scale {
                attention = attention.with_scale(scale);
            }
            Box::new(attention.with_head_norms(w, norm)?)
        };
        let ffn = silu_ffn(w, hp, &experts)?;
        Ok(Layer {
            attn_norm: Some(norm.load(w, "attn_norm", hp.n_embd)?),
            ffn_norm: Some(norm.load(w, "post_attention_norm", hp.n_embd)?),
            ..Layer::bare(mixer, ffn)
        })
    })
}

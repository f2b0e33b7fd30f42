//! Nemotron-H (NVIDIA 2025, arXiv:2504.03624) and Nemotron 3: each layer is one of Mamba-2,
//! attention without positions, and a feed-forward, which may be experts on a narrower input.

use super::prelude::*;
use crate::blocks::layer::MixerLayer;
use crate::blocks::moe::LatentMoe;
use crate::blocks::ssm::{Mamba2, SsmShape};

/// A feed-forward with a way around it.
struct FfnLayer {
    norm: Norm,
    ffn: Box<dyn FeedForward>,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let eps = match keys.opt_f32("attention.layer_norm_rms_epsilon")? {
        Some(eps) => eps,
        None => keys.f32("attention.layer_norm_epsilon")?,
    };
    let norm = NormKind::Rms(eps);
    let shape = SsmShape::load(keys, hp.n_embd)?;
    let n_ff = keys.per_layer("feed_forward_length", hp.n_layer)?.unwrap_or(vec![0; hp.n_layer]);
    let scale = keys.opt_f32("attention.scale")?.filter(|&scale| scale != 0.0);
    let experts = source.sigmoid_routing()?;
    Ok(Arc::new(Decoder::load(source, norm, |il, w| {
        let n_embd = hp.n_embd;
        let layer: Arc<dyn Block> = if n_ff[il] > 0 {
            let ffn: Box<dyn FeedForward> = match hp.n_expert {
                0 => Box::new(Ffn::plain(w, n_embd, Activation::ReluSquared)?),
                _ => Box::new(latent_moe(w, source, experts.clone())?),
            };
            Arc::new(FfnLayer { norm: norm.load(w, "attn_norm", n_embd)?, ffn })
        } else if hp.n_head_kv[il] > 0 {
            let mut attention = Attention::load(w, hp, il)?;
            if let Some(scale) = scale {
                attention = attention.with_scale(scale);
            }
            Arc::new(MixerLayer::load(w, norm, n_embd, attention)?)
        } else {
            Arc::new(MixerLayer::load(w, norm, n_embd, Mamba2::load(w, shape, norm)?)?)
        };
        Ok(layer)
    })?))
}

/// Experts, on a narrower input if the file says so.
fn latent_moe(w: &Weights<'_>, source: &Source<'_>, routing: Routing) -> Result<LatentMoe, Error> {
    let hp = &source.hp;
    let n_latent = source.keys.opt_usize("moe_latent_size")?.filter(|&n| n > 0);
    let n_latent = n_latent.unwrap_or(hp.n_embd);
    let activation = Activation::ReluSquared;
    Ok(LatentMoe {
        down: w.opt_linear("ffn_latent_down", [hp.n_embd, n_latent])?,
        experts: Moe::routed(w, hp, n_latent, routing, activation)?,
        norm: None,
        up: w.opt_linear("ffn_latent_up", [n_latent, hp.n_embd])?,
        shared: Some(Ffn::plain_named(w, "_shexp", hp.n_embd, activation)?),
    })
}

impl Block for FfnLayer {
    fn forward(&self, cx: &mut Forward<'_>, _: usize, mut x: Tensor, last: bool) -> Tensor {
        if last {
            x = cx.keep_outputs(x);
        }
        let h = self.norm.forward(cx, x);
        let y = self.ffn.forward(cx, h);
        cx.add_assign(x, y);
        x
    }
}

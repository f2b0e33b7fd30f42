//! Nemotron-H (NVIDIA 2025, arXiv:2504.03624) and Nemotron 3: each layer is one of Mamba-2,
//! attention without positions, and a feed-forward, which may be experts on a narrower input.

use backend::Linear;

use super::prelude::*;
use crate::blocks::layer::MixerLayer;
use crate::blocks::moe::Moe;
use crate::blocks::norm::Norm;
use crate::blocks::ssm::{Mamba2, SsmShape};

/// A feed-forward with a way around it.
struct FfnLayer {
    norm: Norm,
    ffn: Box<dyn FeedForward>,
}

/// Experts between two products, beside an expert for all on the whole input.
struct LatentMoe {
    down: Option<Linear>,
    experts: Moe,
    up: Option<Linear>,
    shared: Ffn,
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
    let experts = sigmoid_routing(keys, hp)?;
    Ok(Arc::new(Decoder::load(source, norm, |il, w| {
        let n_embd = hp.n_embd;
        let layer: Arc<dyn Block> = if n_ff[il] > 0 {
            let ffn: Box<dyn FeedForward> = match hp.n_expert {
                0 => Box::new(Ffn::plain(w, n_embd, Activation::ReluSquared)?),
                _ => Box::new(LatentMoe::load(w, source, experts.clone())?),
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

impl LatentMoe {
    fn load(w: &Weights<'_>, source: &Source<'_>, routing: Routing) -> Result<Self, Error> {
        let hp = &source.hp;
        let n_embd = hp.n_embd;
        let n_latent = match source.keys.opt_usize("moe_latent_size")? {
            None | Some(0) => n_embd,
            Some(n) => n,
        };
        let activation = Activation::ReluSquared;
        Ok(Self {
            down: w.opt_linear("ffn_latent_down", [n_embd, n_latent])?,
            experts: Moe::load_with_width(w, hp, n_latent, routing, activation)?,
            up: w.opt_linear("ffn_latent_up", [n_latent, n_embd])?,
            shared: Ffn::plain_named(w, "_shexp", n_embd, activation)?,
        })
    }
}

impl FeedForward for LatentMoe {
    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let logits = cx.linear1(x, &self.experts.router);
        let narrow = self.down.as_ref().map_or(x, |down| cx.linear1(x, down));
        let routed = self.experts.forward_routed(cx, narrow, logits);
        let y = self.up.as_ref().map_or(routed, |up| cx.linear1(routed, up));
        let shared = self.shared.forward(cx, x);
        cx.add_assign(y, shared);
        y
    }
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

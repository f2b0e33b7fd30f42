//! RWKV-6 (Peng et al. 2024, arXiv:2404.05892) and RWKV-7 (2025, arXiv:2503.14456).

use backend::{Linear, Vector};

use super::prelude::*;
use crate::blocks::rwkv::{TimeMix6, TimeMix7, WkvShape, lerp};

/// A layer: time mixing, then channel mixing, each with the row before.
struct RwkvLayer {
    attn_norm: Norm,
    time_mix: TimeMix,
    ffn_norm: Norm,
    channel_mix: ChannelMix,
    /// Factor of the residual stream after the layer.
    rescale: f32,
}

enum TimeMix {
    V6(TimeMix6),
    V7(TimeMix7),
}

/// `value(relu(key(x))²)`, by the sigmoid of the receptance in RWKV-6.
struct ChannelMix {
    lerp_k: Vector,
    key: Linear,
    value: Linear,
    receptance: Option<(Vector, Linear)>,
}

pub(super) fn load_6(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let shape = WkvShape::load(&source.keys, source.hp.n_embd)?;
    let rescale_every = source.keys.opt_usize("rescale_every_n_layers")?.unwrap_or(0);
    load(source, |il, w| {
        let mix = TimeMix6::load(w, shape, source.hp.n_head_kv[il])?;
        let rescales = rescale_every > 0 && (il + 1).is_multiple_of(rescale_every);
        Ok((TimeMix::V6(mix), if rescales { 0.5 } else { 1.0 }))
    })
}

pub(super) fn load_7(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let shape = WkvShape::load(&source.keys, source.hp.n_embd)?;
    load(source, |il, w| Ok((TimeMix::V7(TimeMix7::load(w, shape, il)?), 1.0)))
}

fn load(
    source: &Source<'_>,
    time_mix: impl Fn(usize, &Weights<'_>) -> Result<(TimeMix, f32), Error>,
) -> Result<Arc<dyn Model>, Error> {
    let n_embd = source.hp.n_embd;
    let norm = source.layer_norm()?;
    let mut model = Decoder::load(source, norm, |il, w| {
        let (time_mix, rescale) = time_mix(il, w)?;
        Ok(RwkvLayer {
            attn_norm: norm.load(w, "attn_norm", n_embd)?,
            time_mix,
            ffn_norm: norm.load(w, "attn_norm_2", n_embd)?,
            channel_mix: ChannelMix::load(w, n_embd)?,
            rescale,
        })
    })?;
    model.embedding.norm = Some(norm.load(&source.weights, "token_embd_norm", n_embd)?);
    Ok(Arc::new(model))
}

impl ChannelMix {
    fn load(w: &Weights<'_>, n_embd: usize) -> Result<Self, Error> {
        let n_ff = w.cols("channel_mix_value.weight")?;
        let lerp = |name| w.values(name, &[n_embd]);
        let receptance = w.opt_linear("channel_mix_receptance", [n_embd, n_embd])?;
        let with_lerp = |linear| Ok::<_, Error>((lerp("channel_mix_lerp_r.weight")?, linear));
        Ok(Self {
            lerp_k: lerp("channel_mix_lerp_k.weight")?,
            key: w.linear("channel_mix_key", [n_embd, n_ff])?,
            value: w.linear("channel_mix_value", [n_ff, n_embd])?,
            receptance: receptance.map(with_lerp).transpose()?,
        })
    }

    fn forward(&self, cx: &mut Forward<'_>, x: Tensor, delta: Tensor) -> Tensor {
        let k = lerp(cx, x, delta, &self.lerp_k);
        let k = cx.linear1(k, &self.key);
        cx.activate(k, Activation::ReluSquared);
        let v = cx.linear1(k, &self.value);
        let Some((lerp_r, receptance)) = &self.receptance else { return v };
        let r = lerp(cx, x, delta, lerp_r);
        let r = cx.linear1(r, receptance);
        cx.glu(r, v, Activation::Sigmoid.into())
    }
}

impl Block for RwkvLayer {
    fn states(&self) -> Vec<usize> {
        let (n_embd, matrices) = match &self.time_mix {
            TimeMix::V6(mix) => (mix.width(), mix.state_len()),
            TimeMix::V7(mix) => (mix.width(), mix.state_len()),
        };
        vec![n_embd, matrices, n_embd]
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, mut x: Tensor, last: bool) -> Tensor {
        let h = self.attn_norm.forward(cx, x);
        let delta = cx.token_shift(h, [il, 0]);
        let y = match &self.time_mix {
            TimeMix::V6(mix) => mix.forward(cx, h, delta, [il, 1]),
            TimeMix::V7(mix) => mix.forward(cx, h, delta, [il, 1]),
        };
        cx.add_assign(x, y);
        let mut h = self.ffn_norm.forward(cx, x);
        let mut delta = cx.token_shift(h, [il, 2]);
        if last {
            [x, h, delta] = [x, h, delta].map(|t| cx.keep_outputs(t));
        }
        let y = self.channel_mix.forward(cx, h, delta);
        cx.add_assign(x, y);
        if self.rescale != 1.0 {
            cx.scale(x, self.rescale);
        }
        x
    }
}

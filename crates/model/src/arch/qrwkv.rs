//! Qwen with its attention replaced by RWKV's time mixing: QRWKV-6 (`rwkv6qwen2`) and ARWKV-7
//! (Yueyu et al. 2025, arXiv:2501.15570).

use super::prelude::*;
use crate::blocks::rwkv::{TimeMix6, TimeMix7, WkvShape};

/// Time mixing of a token with the one before it.
enum ShiftedMix {
    V6(TimeMix6),
    V7(TimeMix7),
}

pub(super) fn load_6(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load(source, |shape, il, w| {
        Ok(ShiftedMix::V6(TimeMix6::load(w, shape, source.hp.n_head_kv[il])?))
    })
}

pub(super) fn load_7(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load(source, |shape, il, w| Ok(ShiftedMix::V7(TimeMix7::load(w, shape, il)?)))
}

fn load(
    source: &Source<'_>,
    mix: impl Fn(WkvShape, usize, &Weights<'_>) -> Result<ShiftedMix, Error>,
) -> Result<Arc<dyn Model>, Error> {
    let n_embd = source.hp.n_embd;
    let (norm, shape) = (source.rms_norm()?, WkvShape::load(&source.keys, n_embd)?);
    let model = Decoder::load(source, norm, |il, w| {
        let ffn = Ffn::gated(w, n_embd, Activation::Silu)?;
        Layer::pre_norm(w, norm, n_embd, mix(shape, il, w)?, ffn)
    })?;
    Ok(Arc::new(model))
}

impl Mixer for ShiftedMix {
    fn states(&self) -> Vec<usize> {
        match self {
            ShiftedMix::V6(mix) => vec![mix.width(), mix.state_len()],
            ShiftedMix::V7(mix) => vec![mix.width(), mix.state_len()],
        }
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor) -> Tensor {
        let delta = cx.token_shift(x, [il, 0]);
        match self {
            ShiftedMix::V6(mix) => mix.forward(cx, x, delta, [il, 1]),
            ShiftedMix::V7(mix) => mix.forward(cx, x, delta, [il, 1]),
        }
    }
}

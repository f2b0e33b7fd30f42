//! Falcon-H1 (Zuo et al. 2025, arXiv:2507.22448): each layer has attention and Mamba-2 side by
//! side.

use super::prelude::*;
use crate::KvShape;
use crate::blocks::ssm::{Mamba2, SsmShape};

/// Two mixers whose outputs are added.
struct Both(Attention, Mamba2);

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let shape = SsmShape::load(keys, hp.n_embd)?;
    let scale = keys.opt_f32("attention.scale")?.filter(|&scale| scale != 0.0);
    Ok(Arc::new(Decoder::load(source, norm, |il, w| {
        let mut attention = Attention::load(w, hp, il)?.with_rope(&rope);
        if let Some(scale) = scale {
            attention = attention.with_scale(scale);
        }
        let mixer = Both(attention, Mamba2::load(w, shape, norm)?);
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        Layer::pre_norm(w, norm, hp.n_embd, mixer, ffn)
    })?))
}

impl Mixer for Both {
    fn kv(&self) -> KvShape {
        self.0.kv()
    }

    fn states(&self) -> Vec<usize> {
        self.1.states()
    }

    fn prepare(&self, cx: &mut Forward<'_>) {
        self.0.prepare(cx);
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor) -> Tensor {
        let a = self.0.forward(cx, il, x);
        let b = self.1.forward(cx, il, x);
        cx.add_assign(a, b);
        a
    }
}

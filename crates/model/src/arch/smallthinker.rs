//! SmallThinker (Song et al. 2025, arXiv:2507.20984): experts are chosen before attention, from the
//! layer's input, so that their weights can be fetched meanwhile.

use super::prelude::*;
use crate::blocks::layer::Mixer;
use crate::memory::KvShape;

/// Every fourth layer, the first of them, attends to everything and has no rotary positions.
const PATTERN: usize = 4;
const WINDOW: usize = 4096;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let ropes = [&rope, &rope.sliding(keys)?];
    let slides = keys.opt_usize("attention.sliding_window")?.is_some_and(|size| size > 0);
    let size = if slides { WINDOW } else { 0 };
    let window = Window::with_pattern(keys, hp, size, PATTERN, true)?;
    let experts = source.normalized_routing()?;
    let model = Decoder::load(source, norm, |il, w| {
        let mut attention = Attention::load(w, hp, il)?.with_mask(window.mask(il));
        if !window.any() || il % PATTERN != 0 {
            attention = attention.with_rope(ropes[usize::from(window.slides(il))]);
        }
        Ok(EarlyRouted {
            attn_norm: norm.load(w, "attn_norm", hp.n_embd)?,
            attention,
            ffn_norm: norm.load(w, "ffn_norm", hp.n_embd)?,
            experts: Moe::load(w, hp, experts.clone(), Activation::Relu)?,
        })
    })?;
    Ok(Arc::new(model))
}

struct EarlyRouted {
    attn_norm: Norm,
    attention: Attention,
    ffn_norm: Norm,
    experts: Moe,
}

impl Block for EarlyRouted {
    fn kv(&self) -> KvShape {
        self.attention.kv()
    }

    fn prepare(&self, cx: &mut Forward<'_>) {
        self.attention.prepare(cx);
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, mut x: Tensor, last: bool) -> Tensor {
        let h = self.attn_norm.forward(cx, x);
        let mut a = self.attention.forward(cx, il, h);
        if last {
            [x, a] = [x, a].map(|t| cx.keep_outputs(t));
        }
        let logits = cx.linear1(x, &self.experts.router);
        cx.add_assign(x, a);
        let h = self.ffn_norm.forward(cx, x);
        let f = self.experts.forward_routed(cx, h, logits);
        cx.add_assign(x, f);
        x
    }
}

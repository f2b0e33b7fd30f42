//! Arctic (Snowflake 2024): a dense transformer with experts beside each layer, which read the
//! layer's input.

use super::prelude::*;
use crate::memory::KvShape;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Norm)?);
    let experts = source.normalized_routing()?;
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope);
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        Ok(ArcticLayer {
            dense: Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)?,
            norm: norm.load(w, "ffn_norm_exps", hp.n_embd)?,
            experts: Moe::load(w, hp, experts.clone(), Activation::Silu)?,
        })
    })?;
    Ok(Arc::new(model))
}

struct ArcticLayer {
    dense: Layer,
    norm: Norm,
    experts: Moe,
}

impl Block for ArcticLayer {
    fn kv(&self) -> KvShape {
        self.dense.kv()
    }

    fn prepare(&self, cx: &mut Forward<'_>) {
        self.dense.prepare(cx);
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor, last: bool) -> Tensor {
        let input = if last { cx.keep_outputs(x) } else { x };
        let h = self.norm.forward(cx, input);
        let experts = self.experts.forward(cx, h);
        let x = self.dense.forward(cx, il, x, last);
        cx.add_assign(x, experts);
        x
    }
}

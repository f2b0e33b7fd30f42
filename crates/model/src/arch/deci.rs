//! DeciLM and Nemotron of NVIDIA's search (Bercovich et al. 2024, arXiv:2411.19146): layers differ in
//! heads and widths, and may have a product instead of attention, no attention, or nothing at all.

use backend::Linear;

use super::prelude::*;
use crate::blocks::layer::Mixer;
use crate::memory::KvShape;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Norm)?);
    let model = Decoder::load(source, norm, |il, w| {
        // llama.cpp leaves out the attention of layers without feed-forward.
        if !w.has("ffn_up.weight") {
            return Ok(DeciLayer::Nothing);
        }
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        Ok(match (hp.n_head[il], hp.n_head_kv[il]) {
            (0, _) => DeciLayer::FeedForward(norm.load(w, "ffn_norm", hp.n_embd)?, Box::new(ffn)),
            (_, 0) => {
                let product = w.matrix("attn_output.weight", [hp.n_embd, hp.n_embd])?;
                let product = Product(Linear::plain(product));
                DeciLayer::Whole(Layer::pre_norm(w, norm, hp.n_embd, product, ffn)?)
            }
            _ => {
                let attention = Attention::load(w, hp, il)?.with_rope(&rope);
                DeciLayer::Whole(Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)?)
            }
        })
    })?;
    Ok(Arc::new(model))
}

enum DeciLayer {
    Nothing,
    FeedForward(Norm, Box<Ffn>),
    Whole(Layer),
}

impl Block for DeciLayer {
    fn kv(&self) -> KvShape {
        match self {
            DeciLayer::Whole(layer) => layer.kv(),
            _ => KvShape::NONE,
        }
    }

    fn prepare(&self, cx: &mut Forward<'_>) {
        if let DeciLayer::Whole(layer) = self {
            layer.prepare(cx);
        }
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor, last: bool) -> Tensor {
        if let DeciLayer::Whole(layer) = self {
            return layer.forward(cx, il, x, last);
        }
        let x = if last { cx.keep_outputs(x) } else { x };
        if let DeciLayer::FeedForward(norm, ffn) = self {
            let h = norm.forward(cx, x);
            let f = ffn.forward(cx, h);
            cx.add_assign(x, f);
        }
        x
    }
}

/// Stands for attention without looking at other positions.
struct Product(Linear);

impl Mixer for Product {
    fn kv(&self) -> KvShape {
        KvShape::NONE
    }

    fn prepare(&self, _: &mut Forward<'_>) {}

    fn forward(&self, cx: &mut Forward<'_>, _: usize, x: Tensor) -> Tensor {
        cx.linear1(x, &self.0)
    }
}

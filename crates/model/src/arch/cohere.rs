//! Command R and R+ (Cohere 2024), Command A and R7B (`cohere2`): attention and feed-forward side by
//! side. The latter have rotary positions only in layers that attend to a sliding window. The
//! mixture of experts averages those with one for all tokens.

use super::prelude::*;

/// Models of at least as many layers have norms of each query and key head.
const LAYERS_PLUS: usize = 64;
/// Every fourth layer attends to everything, unless the file says otherwise.
const PATTERN: usize = 4;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.layer_norm()?, source.rope(RopeLayout::Norm)?);
    let mut model = Decoder::load(source, norm, |il, w| {
        let mut attention = Attention::load(w, hp, il)?.with_rope(&rope);
        if hp.n_layer >= LAYERS_PLUS {
            attention = attention.with_head_norms(w, norm)?;
        }
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        Layer::parallel(w, norm, hp.n_embd, attention, ffn)
    })?;
    model.head.scale = keys.opt_f32("logit_scale")?.filter(|&scale| scale != 0.0).unwrap_or(1.0);
    Ok(Arc::new(model))
}

pub(super) fn load_2(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let window = Window::load(keys, hp, PATTERN)?;
    let norm = source.layer_norm()?;
    let rope = source.rope(RopeLayout::Norm)?;
    let mut model = Decoder::load(source, norm, |il, w| {
        let mut attention = Attention::load(w, hp, il)?.with_mask(window.mask(il));
        if window.slides(il) {
            attention = attention.with_rope(&rope);
        }
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        Layer::parallel(w, norm, hp.n_embd, attention, ffn)
    })?;
    model.head.scale = keys.f32("logit_scale")?;
    Ok(Arc::new(model))
}

pub(super) fn load_2_moe(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let window = Window::load_dense_first(keys, hp, PATTERN)?;
    let norm = source.rms_norm().or_else(|_| source.layer_norm())?;
    let rope = source.rope(RopeLayout::Norm)?;
    let n_dense = keys.opt_usize("leading_dense_block_count")?.unwrap_or(0);
    let experts = source.sigmoid_routing()?;
    let mut model = Decoder::load(source, norm, |il, w| {
        let mut attention = Attention::load(w, hp, il)?.with_mask(window.mask(il));
        if window.slides(il) || il < n_dense {
            attention = attention.with_rope(&rope);
        }
        let ffn: Box<dyn FeedForward> = match il < n_dense {
            true => Box::new(Ffn::gated(w, hp.n_embd, Activation::Silu)?),
            false => Box::new(Mean(Moe::load(w, hp, experts.clone(), Activation::Silu)?)),
        };
        Layer::parallel(w, norm, hp.n_embd, attention, ffn)
    })?;
    model.head.scale = keys.f32("logit_scale")?;
    Ok(Arc::new(model))
}

/// The mean of the chosen experts' output and that of the shared one.
struct Mean(Moe);

impl FeedForward for Mean {
    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let y = self.0.forward(cx, x);
        if self.0.shared.is_some() {
            cx.scale(y, 0.5);
        }
        y
    }
}

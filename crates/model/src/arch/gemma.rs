//! Gemma (Gemma Team 2024, arXiv:2403.08295), Gemma 2 (arXiv:2408.00118) and Gemma 3 (2025,
//! arXiv:2503.19786). The second adds norms after each block, soft limits and layers that attend to
//! a sliding window; the third replaces the limits of scores by norms of queries and keys.

use super::prelude::*;
use crate::blocks::pooling::Pooler;
use crate::blocks::rope::Rope;

/// Every second layer of Gemma 2 attends to everything, unless the file says otherwise.
const PATTERN_2: usize = 2;
const WINDOW_2: usize = 4096;
/// Every sixth layer of Gemma 3 does.
const PATTERN_3: usize = 6;
/// The 27B models scale their queries by their own rule.
const LAYERS_27B: [usize; 2] = [46, 62];

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let mut model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope);
        let ffn = Ffn::gated(w, hp.n_embd, Activation::GeluTanh)?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    model.embedding.scale = (hp.n_embd as f32).sqrt();
    Ok(Arc::new(model))
}

pub(super) fn load_2(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let norm = source.rms_norm()?;
    let size = keys.opt_usize("attention.sliding_window")?.unwrap_or(WINDOW_2);
    let window = Window::with_size(keys, hp, size, PATTERN_2)?;
    let rope = source.rope(RopeLayout::Neox)?;
    let ropes = [&rope, &rope.sliding(keys)?];
    let softcap = keys.opt_f32("attn_logit_softcapping")?.unwrap_or(50.0);
    let mut model = Decoder::load(source, norm, |il, w| {
        let attention = attention(source, il, w, &window, ropes)?.with_softcap(softcap);
        sandwiched(source, norm, w, attention)
    })?;
    model.embedding.scale = (hp.n_embd as f32).sqrt();
    model.head.softcap = keys.opt_f32("final_logit_softcapping")?.unwrap_or(30.0);
    Ok(Arc::new(model))
}

pub(super) fn load_3(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let norm = source.rms_norm()?;
    let window = Window::load(keys, hp, PATTERN_3)?;
    let rope = source.rope(RopeLayout::Neox)?;
    let ropes = [&rope, &rope.unscaled_sliding(keys, 10_000.0)?];
    let mut model = Decoder::load(source, norm, |il, w| {
        let attention = attention(source, il, w, &window, ropes)?.with_head_norms(w, norm)?;
        sandwiched(source, norm, w, attention)
    })?;
    model.embedding.scale = (hp.n_embd as f32).sqrt();
    model.head.softcap = keys.opt_f32("final_logit_softcapping")?.unwrap_or(0.0);
    Ok(Arc::new(model))
}

/// EmbeddingGemma (Vera et al. 2025, arXiv:2509.20354), an encoder of the third's form, with two
/// products after pooling.
pub(super) fn load_embedding(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights } = source;
    let norm = source.rms_norm()?;
    let window = Window::with_size(keys, hp, keys.width("attention.sliding_window")?, PATTERN_3)?;
    let rope = source.rope(RopeLayout::Neox)?;
    let ropes = [&rope, &rope.unscaled_sliding(keys, 10_000.0)?];
    let mut model = Decoder::load(source, norm, |il, w| {
        let attention = attention(source, il, w, &window, ropes)?.with_head_norms(w, norm)?;
        sandwiched(source, norm, w, attention.with_mask(window.mask_both_ways(il)))
    })?;
    model.embedding.scale = (hp.n_embd as f32).sqrt();
    let mut pooler = Pooler::load(source)?;
    let mut width = hp.n_embd;
    for name in ["dense_2", "dense_3"] {
        if weights.has(&format!("{name}.weight")) {
            let product = weights.linear_of_any_rows(name, width)?;
            width = product.weight.rows();
            pooler = pooler.with_product(product);
        }
    }
    Ok(Arc::new(model.with_pooler(pooler)))
}

/// Layers that slide take the second of the ropes.
fn attention(
    source: &Source<'_>,
    il: usize,
    w: &Weights<'_>,
    window: &Window,
    ropes: [&Arc<Rope>; 2],
) -> Result<Attention, Error> {
    let hp = &source.hp;
    let attention = Attention::load(w, hp, il)?;
    let query_width = match LAYERS_27B.contains(&hp.n_layer) {
        true => hp.n_embd / attention.heads.n_head,
        false => hp.head_dim,
    };
    Ok(attention
        .with_mask(window.mask(il))
        .with_rope(ropes[usize::from(window.slides(il))])
        .with_scale(1.0 / (query_width as f32).sqrt()))
}

/// Norms before and after attention and feed-forward.
fn sandwiched(
    source: &Source<'_>,
    norm: NormKind,
    w: &Weights<'_>,
    attention: Attention,
) -> Result<Layer, Error> {
    let n_embd = source.hp.n_embd;
    let ffn = Ffn::gated(w, n_embd, Activation::GeluTanh)?;
    Layer::pre_norm(w, norm, n_embd, attention, ffn)?.with_post_norms(w, norm, n_embd)
}

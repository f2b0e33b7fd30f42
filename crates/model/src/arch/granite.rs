//! Granite 3 and 4 (IBM 2024) and MiniCPM (Hu et al. 2024, arXiv:2404.06395): factors on
//! embeddings, residuals, scores and logits. Later Granite models alternate sliding windows with
//! attention to everything, and have sinks.

use super::prelude::*;
use crate::blocks::rope::Rope;

/// MiniCPM's factors, in files that don't name them.
const MINICPM_EMBEDDING: f32 = 12.0;
const MINICPM_DEPTH: f32 = 1.4;
const MINICPM_WIDTH: f32 = 256.0;

/// Factors of what the name says; logits are divided by theirs.
pub(super) struct Scales {
    pub(super) embedding: f32,
    pub(super) residual: f32,
    pub(super) attention: f32,
    pub(super) logits: f32,
}

impl Scales {
    pub(super) fn load(source: &Source<'_>) -> Result<Self, Error> {
        let Source { keys, hp, .. } = source;
        let scale = |key| Ok::<_, Error>(keys.opt_f32(key)?.filter(|&scale| scale != 0.0));
        let of_heads = 1.0 / (hp.head_dim as f32).sqrt();
        Ok(Self {
            embedding: scale("embedding_scale")?.unwrap_or(1.0),
            residual: scale("residual_scale")?.unwrap_or(1.0),
            attention: scale("attention.scale")?.unwrap_or(of_heads),
            logits: keys.f32("logit_scale")?,
        })
    }

    fn load_minicpm(source: &Source<'_>) -> Result<Self, Error> {
        let Source { keys, hp, .. } = source;
        let depth = MINICPM_DEPTH / (hp.n_layer as f32).sqrt();
        let width = MINICPM_WIDTH / hp.n_embd as f32;
        Ok(Self {
            embedding: keys.opt_f32("embedding_scale")?.unwrap_or(MINICPM_EMBEDDING),
            residual: keys.opt_f32("residual_scale")?.unwrap_or(depth),
            attention: 1.0 / (hp.head_dim as f32).sqrt(),
            logits: keys.opt_f32("logit_scale")?.unwrap_or(width),
        })
    }
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load_scaled(source, Scales::load(source)?)
}

pub(super) fn load_minicpm(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load_scaled(source, Scales::load_minicpm(source)?)
}

fn load_scaled(source: &Source<'_>, scales: Scales) -> Result<Arc<dyn Model>, Error> {
    let rotary = source.keys.opt_bool("rope.scaling.finetuned")?.unwrap_or(true);
    load_layers(source, scales, |_, _, attention, rope| {
        Ok(if rotary { attention.with_rope(rope) } else { attention })
    })
}

pub(super) fn load_sliding(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let window = Window::load_flags(keys, hp)?;
    let rotary = keys.flags("attention.rope_pattern", hp.n_layer)?;
    load_layers(source, Scales::load(source)?, |il, w, attention, rope| {
        let attention = attention.with_mask(window.mask(il)).with_sinks(w)?;
        let rotary = rotary.as_ref().is_none_or(|layers| layers[il]);
        Ok(if rotary { attention.with_rope(rope) } else { attention })
    })
}

/// `finish` adds what layers differ in.
fn load_layers(
    source: &Source<'_>,
    scales: Scales,
    finish: impl Fn(usize, &Weights<'_>, Attention, &Arc<Rope>) -> Result<Attention, Error>,
) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Norm)?);
    let experts = source.normalized_routing()?;
    let mut model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_scale(scales.attention);
        let attention = finish(il, w, attention, &rope)?;
        let layer = Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &experts)?)?;
        Ok(Layer { residual_scale: scales.residual, ..layer })
    })?;
    model.embedding.scale = scales.embedding;
    model.head.scale = 1.0 / scales.logits;
    Ok(Arc::new(model))
}

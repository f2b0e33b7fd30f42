//! Qwen (Bai et al. 2023, arXiv:2309.16609), Qwen2 (Yang et al. 2024, arXiv:2407.10671), Qwen3
//! (2025, arXiv:2505.09388) and all models of their forms, dense and as mixtures of experts. Qwen2
//! has biases and Qwen3 norms on queries and keys; Qwen2 MoE has an expert for all tokens, with a
//! gate of its own.

use super::prelude::*;
use crate::blocks::pooling::{Pooler, Pooling};
use crate::blocks::rope::Rope;

pub(super) fn load_2(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    Qwen::new(source)?.load(source)
}

pub(super) fn load_2_moe(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    source.keys.count("expert_count")?;
    Qwen { experts: source.routing()?, ..Qwen::new(source)? }.load(source)
}

pub(super) fn load_3(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    Qwen { head_norms: true, ..Qwen::new(source)? }.load(source)
}

pub(super) fn load_3_moe(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    source.keys.count("expert_count")?;
    load_3(source)
}

/// Experts are chosen as the file says: Ling 2, dots.llm1, Hunyuan 3…
pub(super) fn load_3_routed(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let experts = source.sigmoid_routing()?;
    Qwen { head_norms: true, experts, ..Qwen::new(source)? }.load(source)
}

/// The language model of CogVLM (Wang et al. 2023, arXiv:2311.03079), whose files' base of rotations
/// llama.cpp doesn't ask for.
pub(super) fn load_cogvlm(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let qwen = Qwen::new(source)?;
    let rope = Arc::new(qwen.rope.unscaled(10_000.0));
    Qwen { rope, ..qwen }.load(source)
}

/// The language model of DeepSeek-OCR (2025), whose rotations are not scaled either.
pub(super) fn load_deepseek_ocr(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let qwen = Qwen::new(source)?;
    let rope = Arc::new(qwen.rope.unscaled(10_000.0));
    Qwen { rope, experts: source.routing()?, ..qwen }.load(source)
}

pub(super) fn load_2_vl(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let rope = source.mrope(RopeLayout::Neox, false)?;
    // llama.cpp doesn't ask the files of Qwen2-VL for an epsilon.
    let norm = source.rms_norm().unwrap_or(NormKind::Rms(0.0));
    Qwen { rope, ..Qwen::with_norm(source, norm)? }.load(source)
}

pub(super) fn load_3_vl(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let rope = source.mrope(RopeLayout::Neox, true)?;
    Qwen { rope, head_norms: true, ..Qwen::new(source)? }.load(source)
}

/// Dream (Ye et al. 2025, arXiv:2508.15487), which fills in masked tokens in any order, as the next
/// two do.
pub(super) fn load_dream(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    Qwen { mask: Some(Mask::Full), ..Qwen::new(source)? }.load(source)
}

/// LLaDA-MoE (Zhu et al. 2025, arXiv:2509.24389).
pub(super) fn load_llada_moe(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    source.keys.count("expert_count")?;
    let (mask, experts) = (Some(Mask::Full), source.routing()?);
    Qwen { mask, head_norms: true, experts, ..Qwen::new(source)? }.load(source)
}

/// RND1 (Radical Numerics 2025).
pub(super) fn load_rnd1(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    source.keys.count("expert_count")?;
    Qwen { mask: Some(Mask::Full), head_norms: true, ..Qwen::new(source)? }.load(source)
}

/// EuroBERT (Boizard et al. 2025, arXiv:2503.05500), an encoder.
pub(super) fn load_eurobert(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let model = Qwen { mask: Some(Mask::Full), ..Qwen::new(source)? }.decoder(source)?;
    Ok(Arc::new(model.with_pooler(Pooler::load(source)?)))
}

/// What sets the models apart.
struct Qwen {
    /// Who sees whom, where that is not the file's to say.
    mask: Option<Mask>,
    norm: NormKind,
    rope: Arc<Rope>,
    head_norms: bool,
    experts: Routing,
}

impl Qwen {
    fn new(source: &Source<'_>) -> Result<Self, Error> {
        Self::with_norm(source, source.rms_norm()?)
    }

    fn with_norm(source: &Source<'_>, norm: NormKind) -> Result<Self, Error> {
        let rope = source.rope(RopeLayout::Neox)?;
        let experts = source.normalized_routing()?;
        Ok(Self { mask: None, norm, rope, head_norms: false, experts })
    }

    fn load(&self, source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
        let model = self.decoder(source)?;
        let pooler = Pooler::load(source)?;
        if pooler.kind == Pooling::None {
            return Ok(Arc::new(model));
        }
        let scored = if model.is_causal() { Pooling::Last } else { Pooling::First };
        let pooler = pooler.with_classifier(source, scored, Activation::Tanh)?;
        Ok(Arc::new(model.with_pooler(pooler.with_softmax())))
    }

    fn decoder(&self, source: &Source<'_>) -> Result<Decoder, Error> {
        let (hp, norm) = (&source.hp, self.norm);
        Decoder::load(source, norm, |il, w| {
            let mut attention = Attention::load(w, hp, il)?.with_rope(&self.rope);
            if let Some(mask) = self.mask {
                attention = attention.with_mask(mask);
            }
            if self.head_norms {
                attention = attention.with_head_norms(w, norm)?;
            }
            Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &self.experts)?)
        })
    }
}

//! Qwen (Bai et al. 2023, arXiv:2309.16609), Qwen2 (Yang et al. 2024, arXiv:2407.10671), Qwen3
//! (2025, arXiv:2505.09388) and all models of their forms, dense and as mixtures of experts. Qwen2
//! has biases and Qwen3 norms on queries and keys; Qwen2 MoE has an expert for all tokens, with a
//! gate of its own.

use super::prelude::*;
use crate::OutputKind;
use crate::blocks::pooling::Pooling;
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

/// What sets the models apart.
struct Qwen {
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
        Ok(Self { norm, rope, head_norms: false, experts: source.normalized_routing()? })
    }

    fn load(&self, source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
        let (Source { keys, hp, .. }, norm) = (source, self.norm);
        let model = Decoder::load(source, norm, |il, w| {
            let mut attention = Attention::load(w, hp, il)?.with_rope(&self.rope);
            if self.head_norms {
                attention = attention.with_head_norms(w, norm)?;
            }
            Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &self.experts)?)
        })?;
        let output = match keys.opt_usize("pooling_type")? {
            None | Some(0) => OutputKind::Logits,
            Some(_) => OutputKind::Embeddings(Pooling::load(keys)?),
        };
        Ok(Arc::new(model.with_output(output)))
    }
}

//! Hunyuan (Tencent 2024, arXiv:2411.02265), dense and as a mixture of experts: queries and keys are
//! normed after their rotation.

use super::prelude::*;
use crate::blocks::rope::Rope;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let mut rope = source.mrope(RopeLayout::Neox, false)?;
    if let Some(alpha) = keys.opt_f32("rope.scaling.alpha")?.filter(|&alpha| alpha > 0.0) {
        let exponent = hp.head_dim as f32 / (hp.head_dim as f32 - 2.0);
        let freq_base = rope.freq_base * alpha.powf(exponent);
        rope = Arc::new(Rope { freq_base, ..(*rope).clone() });
    }
    load_rotated(source, &rope)
}

pub(super) fn load_moe(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load_rotated(source, &source.rope(RopeLayout::Neox)?)
}

/// Maincoder (2025) is of this form, with neighbouring pairs.
pub(super) fn load_maincoder(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load_rotated(source, &source.rope(RopeLayout::Norm)?)
}

fn load_rotated(source: &Source<'_>, rope: &Arc<Rope>) -> Result<Arc<dyn Model>, Error> {
    let (hp, norm) = (&source.hp, source.rms_norm()?);
    let experts = source.normalized_routing()?;
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?
            .with_rope(rope)
            .with_head_norms(w, norm)?
            .with_norms_after_rope();
        Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &experts)?)
    })?;
    Ok(Arc::new(model))
}

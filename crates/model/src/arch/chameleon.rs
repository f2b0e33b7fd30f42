//! Chameleon (Meta 2024, arXiv:2405.09818): norms of each query and key head, and in the larger model
//! norms after blocks instead of before. Image tokens are never the answer.

use super::prelude::*;

const HEAD_NORM: NormKind = NormKind::Layer(1e-5);
const IMAGE_TOKENS: std::ops::Range<usize> = 4..8196;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Norm)?);
    let post_norm = keys.opt_bool("swin_norm")?.unwrap_or(false);
    let mut model = Decoder::load(source, norm, |il, w| {
        let attention =
            Attention::load(w, hp, il)?.with_rope(&rope).with_head_norms(w, HEAD_NORM)?;
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        let layer = Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)?;
        Ok(match post_norm {
            false => layer,
            true => Layer {
                attn_post_norm: layer.attn_norm,
                ffn_post_norm: layer.ffn_norm,
                attn_norm: None,
                ffn_norm: None,
                ..layer
            },
        })
    })?;
    if let Some(output) = &mut model.head.output {
        let never = |id| if IMAGE_TOKENS.contains(&id) { f32::MIN } else { 0.0 };
        output.bias = Some((0..output.weight.rows()).map(never).collect::<Vec<_>>().into());
    }
    Ok(Arc::new(model))
}

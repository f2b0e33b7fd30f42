//! MiniCPM3 (OpenBMB 2024) and PLM (Deng et al. 2025, arXiv:2503.12167): latent attention in dense
//! models.

use super::prelude::*;
use crate::blocks::mla::{Mla, MlaSizes};
use crate::blocks::rope::Rope;

const EMBEDDING_SCALE: f32 = 12.0;
const DEPTH_SCALE: f32 = 1.4;
/// Logits are those of a model of this width.
const BASE_WIDTH: f32 = 256.0;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let hp = &source.hp;
    let residual_scale = DEPTH_SCALE / (hp.n_layer as f32).sqrt();
    let mut model = decoder(source, RopeLayout::Neox, |w, norm, attention| {
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        let layer = Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)?;
        Ok(Layer { residual_scale, ..layer })
    })?;
    model.embedding.scale = EMBEDDING_SCALE;
    model.head.scale = BASE_WIDTH / hp.n_embd as f32;
    Ok(Arc::new(model))
}

pub(super) fn load_plm(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let n_embd = source.hp.n_embd;
    let model = decoder(source, RopeLayout::Norm, |w, norm, attention| {
        let ffn = Ffn::plain(w, n_embd, Activation::ReluSquared)?;
        Layer::pre_norm(w, norm, n_embd, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

fn decoder(
    source: &Source<'_>,
    layout: RopeLayout,
    layer: impl Fn(&Weights<'_>, NormKind, Mla) -> Result<Layer, Error>,
) -> Result<Decoder, Error> {
    let Source { keys, hp, weights } = source;
    let (norm, sizes) = (source.rms_norm()?, MlaSizes::load(keys, hp)?);
    let rope = Arc::new(Rope::load_for(keys, weights, hp, sizes.rope, layout)?);
    let scale = 1.0 / ((sizes.nope + sizes.rope) as f32).sqrt();
    Decoder::load(source, norm, |_, w| layer(w, norm, Mla::load(w, sizes, norm, &rope, scale)?))
}

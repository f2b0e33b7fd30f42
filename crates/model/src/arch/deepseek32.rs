//! DeepSeek-V3.2 (2025, arXiv:2512.02556) and GLM-5 (Zhipu AI 2026): latent attention to the
//! positions that an indexer chooses. Layers of GLM-5.2 share the choices of others.

use super::deepseek2::{self, Scaled};
use super::prelude::*;
use crate::blocks::indexer::{Choice, IndexRope, IndexSizes, Indexer};
use crate::blocks::mla::{Mla, MlaSizes};

/// GLM-5.2's context; older ones choose in every layer.
const GLM_SHARING_CONTEXT: usize = 1 << 20;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load_indexed(source, RopeLayout::Neox, 1e-6, source.routing()?, &|_| true)
}

pub(super) fn load_glm(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let shares = hp.n_ctx_train >= GLM_SHARING_CONTEXT;
    let flags = keys.per_layer("attention.indexer.types", hp.n_layer)?;
    let own = |il: usize| match &flags {
        Some(flags) => flags[il] != 0,
        None => !shares || il < 2 || (il - 2).is_multiple_of(4),
    };
    load_indexed(source, RopeLayout::Norm, 0.0, source.sigmoid_routing()?, &own)
}

fn load_indexed(
    source: &Source<'_>,
    layout: RopeLayout,
    eps: f32,
    experts: Routing,
    own: &dyn Fn(usize) -> bool,
) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, sizes) = (source.rms_norm()?, MlaSizes::load(keys, hp)?);
    let index = IndexSizes::load(keys)?;
    let Scaled { rope, scale } = deepseek2::scaled(source, sizes, |_, _| 1.0)?;
    let index_rope = rope.for_heads(index.head_dim, layout)?;
    let (rope, index_rope) = (Arc::new(rope), IndexRope::Front(Arc::new(index_rope)));
    check_first(own(0))?;
    let choice = Choice::of_positions(index.top_k);
    let model = Decoder::load(source, norm, |il, w| {
        let indexer = || Indexer::load(w, index, hp.n_embd, eps, index_rope.clone());
        let attention = Mla::load(w, sizes, norm, &rope, scale)?.with_choice(
            w,
            choice,
            own(il).then(indexer).transpose()?,
        )?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &experts)?)
    })?;
    Ok(Arc::new(model))
}

/// The first layer has none to share with.
pub(super) fn check_first(own: bool) -> Result<(), Error> {
    if own {
        return Ok(());
    }
    Err(Error::Value {
        key: "attention.indexer.types".into(),
        value: "0 in the first layer".into(),
        expected: "1".into(),
    })
}

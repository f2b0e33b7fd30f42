//! dots3.note (rednote 2026): latent attention with gated heads, to the positions that an indexer
//! chooses in some layers, and to a sliding window in the others.

use super::deepseek32::check_first;
use super::prelude::*;
use crate::blocks::indexer::{Choice, IndexRope, IndexSizes, Indexer};
use crate::blocks::mla::{Mla, MlaSizes};
use crate::blocks::rope::Rope;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights } = source;
    let (norm, experts) = (source.rms_norm()?, source.routing()?);
    let sizes = MlaSizes::load(keys, hp)?;
    let sliding = MlaSizes::load_sliding(keys, hp)?;
    let window = keys.width("attention.sliding_window")?;
    let slides = keys.sliding_layers(hp.n_layer, 1, false)?;
    check_first(slides.iter().any(|slides| !slides))?;
    let rope = Rope::load_for(keys, weights, hp, sizes.rope, RopeLayout::Norm)?;
    let sliding_rope = rope.sliding(keys)?;
    let index = IndexSizes::load(keys)?;
    let index_rope = Arc::new(rope.for_heads(index.head_dim, RopeLayout::Neox)?);
    let rope = Arc::new(rope);
    let model = Decoder::load(source, norm, |il, w| {
        let (sizes, rope) = if slides[il] { (sliding, &sliding_rope) } else { (sizes, &rope) };
        let sizes = MlaSizes { n_head: hp.n_head[il], ..sizes };
        let scale = 1.0 / ((sizes.nope + sizes.rope) as f32).sqrt();
        let mla = Mla::load(w, sizes, norm, rope, scale)?.with_gate(w)?.with_rope_norm(w, norm)?;
        let attention = match slides[il] {
            true => mla.with_window(window),
            false => {
                let rope = IndexRope::Front(index_rope.clone());
                let indexer = Indexer::load(w, index, hp.n_embd, 1e-6, rope)?;
                mla.with_choice(w, Choice::of_positions(index.top_k), Some(indexer))?
            }
        };
        Layer::pre_norm(w, norm, hp.n_embd, attention, silu_ffn(w, hp, &experts)?)
    })?;
    Ok(Arc::new(model))
}

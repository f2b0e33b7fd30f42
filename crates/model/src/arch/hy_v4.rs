//! Hunyuan 4 (Tencent 2026): hyper-connections whose streams don't mix, and gated latent attention to
//! the positions that an indexer chooses, which some layers share.

use backend::Glu;

use super::deepseek32::check_first;
use super::prelude::*;
use crate::blocks::hyper::{Collapse, HyperDecoder, HyperLayer, HyperSizes, small};
use crate::blocks::indexer::{Choice, IndexRope, IndexSizes, Indexer};
use crate::blocks::mla::{Mla, MlaSizes};
use crate::blocks::moe::{gated_ffn, silu_limits};
use crate::blocks::rope::Rope;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights } = source;
    let eps = keys.f32("attention.layer_norm_rms_epsilon")?;
    let (norm, sizes) = (NormKind::Rms(eps), MlaSizes::load(keys, hp)?);
    let scale = 1.0 / ((sizes.nope + sizes.rope) as f32).sqrt();
    let rope = Rope::load_for(keys, weights, hp, sizes.rope, RopeLayout::Norm)?;
    let rope = Arc::new(rope);
    let hyper = HyperSizes {
        n_embd: hp.n_embd,
        n: small(keys, "hyper_connection.count")?,
        eps: keys.f32("hyper_connection.epsilon")?,
        sinkhorn: None,
        magnitude: keys.f32("hyper_connection.magnitude")?,
        eps_in_put: true,
    };
    let chooses = keys.opt_usize("attention.indexer.top_k")?.is_some_and(|top_k| top_k > 0);
    let index = chooses.then(|| IndexSizes::load(keys)).transpose()?;
    if let Some(index) = index {
        rope.for_heads(index.head_dim, RopeLayout::Norm)?;
    }
    let own = keys.per_layer("attention.indexer.types", hp.n_layer)?;
    let own = own.unwrap_or_else(|| vec![1; hp.n_layer]);
    check_first(own[0] != 0)?;
    let gates = silu_limits(keys, hp, |limit| Glu::ClampedSilu { limit })?;
    let experts = source.routing()?;
    let last = norm.load(weights, "output_norm", hp.n_embd)?;
    let collapse = Collapse::load(weights, hyper, norm)?;
    let model = HyperDecoder::load(source, hyper.n, collapse, last, |il, w| {
        let mla = Mla::load(w, sizes, norm, &rope, scale)?.with_gate(w)?.with_sinks(w)?;
        let attention = match index {
            None => mla,
            Some(index) => {
                let rope = IndexRope::Back(rope.clone());
                let indexer = || Indexer::load(w, index, hp.n_embd, eps, rope);
                let indexer = (own[il] != 0).then(indexer).transpose()?;
                mla.with_choice(w, Choice::of_positions(index.top_k), indexer)?
            }
        };
        let [of_experts, _] = gates(il);
        let ffn = gated_ffn(w, hp, &experts, [of_experts, Activation::Silu.into()])?;
        HyperLayer::load(w, hyper, norm, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

//! GLM-5.3 Flash (Zhipu AI 2026): hyper-connections, layers of delta attention and of latent
//! attention without positions, to the blocks of positions that an indexer chooses.

use backend::Glu;

use super::deepseek32::check_first;
use super::prelude::*;
use crate::blocks::delta_net::{DecayBound, Kda, KdaShape};
use crate::blocks::hyper::{Collapse, HyperDecoder, HyperLayer, HyperSizes};
use crate::blocks::indexer::{Choice, IndexRope, IndexSizes, Indexer};
use crate::blocks::mla::{Mla, MlaSizes};
use crate::blocks::moe::{common_silu_limits, gated_ffn};

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights } = source;
    let (norm, sizes) = (source.rms_norm()?, MlaSizes::load(keys, hp)?);
    let kda = KdaShape { length_eps: 1e-6, ..KdaShape::load(keys, hp)? };
    let index = IndexSizes::load(keys)?;
    let bound = match keys.opt_f32("kda.gate_lower_bound")? {
        Some(bound) => DecayBound::Below { bound, sign: -1.0 },
        None => DecayBound::None,
    };
    let tail = keys.opt_bool("attention.indexer.kpool_select_tail")?.unwrap_or(true);
    let pool = keys.width("attention.indexer.kpool")?;
    let choice = Choice::of_blocks(index.top_k, pool, tail)?;
    let own = keys.per_layer("attention.indexer.types", hp.n_layer)?;
    let own = own.unwrap_or_else(|| vec![1; hp.n_layer]);
    let attends = |il: &usize| hp.n_head_kv[*il] > 0;
    check_first((0..hp.n_layer).find(attends).is_none_or(|il| own[il] != 0))?;
    let index_eps = keys.opt_f32("attention.layer_norm_epsilon")?.unwrap_or(0.0);
    let hyper = HyperSizes::load(keys, hp.n_embd)?;
    let gates = common_silu_limits(keys, hp, |limit| Glu::ClampedSilu { limit })?;
    let experts = source.sigmoid_routing()?;
    let scale = 1.0 / ((sizes.nope + sizes.rope) as f32).sqrt();
    let last = norm.load(weights, "output_norm", hp.n_embd)?;
    let model = HyperDecoder::load(source, hyper.n, Collapse::Mean, last, |il, w| {
        let mixer: Box<dyn Mixer> = if attends(&il) {
            let indexer = || {
                Indexer::load(w, index, hp.n_embd, index_eps, IndexRope::None)?
                    .with_pool(w, hp.n_embd, choice)
            };
            let indexer = (own[il] != 0).then(indexer).transpose()?;
            let mla = Mla::load(w, sizes, norm, None, scale)?;
            Box::new(mla.with_choice(w, choice, indexer)?)
        } else {
            Box::new(Kda::load(w, kda, bound)?)
        };
        let ffn = gated_ffn(w, hp, &experts, gates(il))?;
        HyperLayer::load(w, hyper, norm, mixer, ffn)
    })?;
    Ok(Arc::new(model))
}

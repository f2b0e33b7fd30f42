//! Qwen4's experimental models (Qwen Team 2026): hyper-connections of low rank, layers of gated delta
//! net and of attention to blocks of positions that an index chooses, and embeddings of n-grams.

use backend::{BlockPool, HeadSharing, Linear, Scoring, Selection};

use super::prelude::*;
use crate::blocks::attention::KeyChoice;
use crate::blocks::delta_net::GatedDeltaNet;
use crate::blocks::hyper::{Collapse, HyperDecoder, HyperLayer, LowRank, StreamStep, small};
use crate::blocks::indexer::{Choice, IndexSizes, choose};
use crate::blocks::ngram::NgramMemory;
use crate::blocks::rope::Rope;
use crate::blocks::ssm::SsmShape;
use crate::memory::CacheShape;

/// Period of full attention where the file doesn't say.
const FULL_ATTENTION_INTERVAL: usize = 4;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights } = source;
    keys.count("expert_count")?;
    let eps = keys.f32("attention.layer_norm_rms_epsilon")?;
    let (norm, rope) = (NormKind::Rms(eps), source.mrope(RopeLayout::Neox, true)?);
    let shape = SsmShape::load(keys, hp.n_embd)?;
    let recurrent = keys.recurrent_layers(hp.n_layer, FULL_ATTENTION_INTERVAL)?;
    let sizes = IndexSizes::load(keys)?;
    let query_rope = Arc::new(rope.for_heads(sizes.head_dim, RopeLayout::Neox)?);
    // Blocks have a place in all sections, unlike tokens of text.
    let key_rope = Rope { still: Vec::new(), ..(*query_rope).clone() };
    let ratios = keys.per_layer("attention.compress_ratios", hp.n_layer)?;
    let ratios = ratios.unwrap_or_else(|| vec![0; hp.n_layer]);
    let n_streams = small(keys, "hyper_connection.count")?;
    let (experts, low_rank) =
        (source.normalized_routing()?, keys.count("hyper_connection.low_rank")?);
    let hyper = [hp.n_embd, n_streams, low_rank];
    let ngrams = NgramMemory::load_table(source)?;
    let last = LowRank::load(weights, "output_hc", hyper, norm)?;
    let collapse = Collapse::LowRank(Box::new(last));
    let model = HyperDecoder::load(source, n_streams, collapse, None, |il, w| {
        let mixer: Box<dyn Mixer> = if recurrent[il] {
            let sharing = HeadSharing::InTurns;
            let net = GatedDeltaNet::load(w, shape, eps, sharing)?;
            Box::new(net.with_gate(Activation::Sigmoid))
        } else {
            let attention = Attention::load_with_query_gate(w, hp, il)?
                .with_rope(&rope)
                .with_head_norms(w, norm)?;
            Box::new(match ratios[il] {
                0 => attention,
                ratio => {
                    let choice = Choice::of_blocks(sizes.top_k, ratio, true)?;
                    let n_q = sizes.n_head * sizes.head_dim;
                    attention.with_choice(MeanIndex {
                        sizes,
                        choice,
                        q: w.linear("indexer.q_proj", [hp.n_embd, n_q])?,
                        k: w.linear("indexer.k_proj", [hp.n_embd, sizes.head_dim])?,
                        q_norm: norm.load(w, "indexer.q_norm", sizes.head_dim)?,
                        k_norm: norm.load(w, "indexer.k_norm", sizes.head_dim)?,
                        query_rope: query_rope.clone(),
                        key_rope: key_rope.clone(),
                    })
                }
            })
        };
        let step = |table| NgramMemory::load(w, source, table, n_streams, norm);
        let own = ngrams.as_ref().filter(|ngrams| ngrams.layer == il);
        let step = own.map(step).transpose()?;
        Ok(HyperLayer {
            before: step.map(|step| Box::new(step) as Box<dyn StreamStep>),
            attn: Box::new(LowRank::load(w, "hc_attn", hyper, norm)?),
            attn_norm: None,
            mixer,
            ffn_connection: Box::new(LowRank::load(w, "hc_ffn", hyper, norm)?),
            ffn_norm: None,
            ffn: silu_ffn(w, hp, &experts)?,
        })
    })?;
    Ok(Arc::new(model))
}

/// Chooses blocks by the mean of their members' keys.
struct MeanIndex {
    sizes: IndexSizes,
    choice: Choice,
    q: Linear,
    k: Linear,
    q_norm: Norm,
    k_norm: Norm,
    query_rope: Arc<Rope>,
    key_rope: Rope,
}

impl KeyChoice for MeanIndex {
    fn caches(&self) -> Vec<CacheShape> {
        vec![CacheShape { width: self.sizes.head_dim, stride: self.choice.stride }]
    }

    fn states(&self) -> Vec<usize> {
        vec![self.choice.stride * self.sizes.head_dim]
    }

    fn prepare(&self, cx: &mut Forward<'_>) {
        cx.prepare_rope(&self.query_rope);
    }

    fn first(&self) -> usize {
        self.choice.first()
    }

    fn choose(&self, cx: &mut Forward<'_>, x: Tensor, cache: [usize; 2]) {
        let IndexSizes { n_head, head_dim, top_k } = self.sizes;
        let stride = self.choice.stride;
        let values = cx.linear1(x, &self.k);
        let pool = BlockPool { values, scores: None, places: None, block: stride, overlap: false };
        let k = cx.pool_blocks(&pool, [cache[0], 0]);
        let k = self.k_norm.forward(cx, k);
        let table = cx.block_rope_table(&self.key_rope, stride);
        cx.rotate(k, &table);
        cx.cache_write(k, cache);

        let q = cx.linear1(x, &self.q);
        let q = self.q_norm.forward(cx, q);
        let table = cx.prepared_rope(&self.query_rope);
        cx.rotate(q, &table);
        let weight = 1.0 / (head_dim as f32).sqrt();
        let weights = cx.upload(&vec![weight; x.rows() * n_head], n_head);
        let selection = Selection {
            q,
            n_head,
            scoring: Scoring::Rectified(weights),
            top_k: top_k / stride,
            names: self.choice.names(),
        };
        choose(cx, &selection, cache, self.first());
    }
}

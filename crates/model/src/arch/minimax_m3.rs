//! MiniMax-M3 (2026): MiniMax-M2 with an expert for all tokens, whose layers with experts attend to
//! blocks of positions that an index chooses for each key/value head.

use backend::{Glu, Linear, Names, Scoring, Selection};

use super::prelude::*;
use crate::blocks::attention::KeyChoice;
use crate::blocks::indexer::{IndexSizes, choose};
use crate::blocks::moe::gated_ffn;
use crate::blocks::rope::Rope;
use crate::memory::CacheShape;

const SWISH: Glu = Glu::ClampedSwish { alpha: 1.702, limit: 7.0 };

/// More blocks than there are.
const MOST_LOCAL: usize = 1 << 24;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let experts = source.routing()?;
    let sizes = IndexSizes::load(keys)?;
    let index_rope = Arc::new(rope.for_heads(sizes.head_dim, RopeLayout::Neox)?);
    let block = keys.width("attention.indexer.block_size")?;
    let local = keys.opt_usize("attention.indexer.local_blocks")?.unwrap_or(0).min(MOST_LOCAL);
    let model = Decoder::load(source, norm, |il, w| {
        let mut attention = Attention::load(w, hp, il)?.with_head_norms(w, norm)?.with_rope(&rope);
        if w.has("ffn_gate_inp.weight") {
            if sizes.n_head != hp.n_head_kv[il] {
                return Err(Error::Value {
                    key: "attention.indexer.head_count".into(),
                    value: sizes.n_head.to_string(),
                    expected: format!("{}, as there are key/value heads", hp.n_head_kv[il]),
                });
            }
            attention = attention.with_choice(BlockIndex {
                sizes,
                block,
                local,
                q: w.linear("indexer.q_proj", [hp.n_embd, sizes.n_head * sizes.head_dim])?,
                k: w.linear("indexer.k_proj", [hp.n_embd, sizes.head_dim])?,
                q_norm: norm.load(w, "indexer.q_norm", sizes.head_dim)?,
                k_norm: norm.load(w, "indexer.k_norm", sizes.head_dim)?,
                rope: index_rope.clone(),
            });
        }
        let ffn = gated_ffn(w, hp, &experts, [SWISH, SWISH])?;
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

/// Chooses blocks for each key/value head by the key most like its query.
struct BlockIndex {
    sizes: IndexSizes,
    block: usize,
    local: usize,
    q: Linear,
    k: Linear,
    q_norm: Norm,
    k_norm: Norm,
    rope: Arc<Rope>,
}

impl KeyChoice for BlockIndex {
    fn caches(&self) -> Vec<CacheShape> {
        vec![CacheShape::of_positions(self.sizes.head_dim)]
    }

    fn prepare(&self, cx: &mut Forward<'_>) {
        cx.prepare_rope(&self.rope);
    }

    fn first(&self) -> usize {
        self.sizes.top_k.saturating_mul(self.block)
    }

    fn n_sets(&self) -> usize {
        self.sizes.n_head
    }

    fn choose(&self, cx: &mut Forward<'_>, x: Tensor, cache: [usize; 2]) {
        let table = cx.prepared_rope(&self.rope);
        let k = cx.linear1(x, &self.k);
        let k = self.k_norm.forward(cx, k);
        cx.rotate(k, &table);
        cx.cache_write(k, cache);
        let q = cx.linear1(x, &self.q);
        let q = self.q_norm.forward(cx, q);
        cx.rotate(q, &table);
        let selection = Selection {
            q,
            n_head: self.sizes.n_head,
            scoring: Scoring::Blocks { block: self.block, local: self.local },
            top_k: self.sizes.top_k,
            names: Names::Rows,
        };
        choose(cx, &selection, cache, self.first());
    }
}

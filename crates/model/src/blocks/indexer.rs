//! The lightning indexer (DeepSeek-V3.2, 2025, arXiv:2512.02556), which chooses the positions that an
//! attention looks at, and its form that chooses blocks of positions by a pooled key.

use std::sync::Arc;

use backend::{BlockPool, Linear, Names, Scoring, Selection, Tensor, Vector, Visible};

use crate::blocks::norm::{Norm, NormKind};
use crate::blocks::rope::Rope;
use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::Keys;
use crate::memory::CacheShape;
use crate::weights::Weights;

/// The sizes of an indexer.
#[derive(Debug, Clone, Copy)]
pub struct IndexSizes {
    /// Query heads.
    pub n_head: usize,
    /// Width of keys and queries.
    pub head_dim: usize,
    /// Positions that are chosen.
    pub top_k: usize,
}

impl IndexSizes {
    /// Reads `attention.indexer.{head_count,key_length,top_k}`.
    pub fn load(keys: &Keys<'_>) -> Result<Self, Error> {
        Ok(Self {
            n_head: keys.count("attention.indexer.head_count")?,
            head_dim: keys.width("attention.indexer.key_length")?,
            top_k: keys.width("attention.indexer.top_k")?,
        })
    }
}

/// Which positions layers of an attention look at.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    /// Positions at most that are chosen.
    pub top_k: usize,
    /// Positions per key.
    pub stride: usize,
    /// Whether those after the last complete block are always seen.
    pub tail: bool,
}

impl Choice {
    /// One position at a time.
    pub fn of_positions(top_k: usize) -> Self {
        Self { top_k, stride: 1, tail: false }
    }

    /// Blocks of positions, of which a whole number is chosen.
    pub fn of_blocks(top_k: usize, stride: usize, tail: bool) -> Result<Self, Error> {
        if stride > 1 && top_k >= stride && top_k.is_multiple_of(stride) {
            return Ok(Self { top_k, stride, tail });
        }
        Err(Error::Value {
            key: "attention.indexer.top_k".into(),
            value: top_k.to_string(),
            expected: format!("blocks of {stride} positions, of more than one"),
        })
    }

    /// The first position from which not everything is chosen.
    pub fn first(self) -> usize {
        match self.tail {
            true => self.top_k + self.stride - 1,
            // An incomplete block is not seen.
            false if self.stride > 1 => 0,
            false => self.top_k,
        }
    }

    /// What is to be named.
    pub fn names(self) -> Names {
        if self.stride == 1 { Names::Rows } else { Names::Positions { tail: self.tail } }
    }
}

/// What the last indexer has chosen.
pub fn chosen(cx: &Forward<'_>) -> Option<Visible> {
    cx.shared.map(|names| Visible::Chosen { names, n_sets: 1 })
}

/// Where positions rotate heads of an indexer.
#[derive(Clone)]
pub enum IndexRope {
    /// Nowhere.
    None,
    /// At their beginnings; the rope is for the heads.
    Front(Arc<Rope>),
    /// At their ends; the rope is for as many values as are rotated.
    Back(Arc<Rope>),
}

/// An indexer.
pub struct Indexer {
    sizes: IndexSizes,
    choice: Choice,
    q: Linear,
    k: Linear,
    k_norm: Norm,
    weights: Linear,
    rope: IndexRope,
    pool: Option<KeyPool>,
}

/// How keys of a block of positions become one (GLM-5.3).
struct KeyPool {
    gate: Linear,
    places: Vector,
}

impl Indexer {
    /// Loads `indexer.{attn_q_b,attn_k,k_norm,proj}`, for queries of as low a rank as `attn_q_b`.
    pub fn load(
        w: &Weights<'_>,
        sizes: IndexSizes,
        n_embd: usize,
        eps: f32,
        rope: IndexRope,
    ) -> Result<Self, Error> {
        let IndexSizes { n_head, head_dim, top_k } = sizes;
        let weights = w.linear("indexer.proj", [n_embd, n_head])?;
        let scale = weights.scale / ((n_head * head_dim) as f32).sqrt();
        Ok(Self {
            sizes,
            choice: Choice::of_positions(top_k),
            q: w.linear("indexer.attn_q_b", [w.cols("attn_q_b.weight")?, n_head * head_dim])?,
            k: w.linear("indexer.attn_k", [n_embd, head_dim])?,
            k_norm: NormKind::Layer(eps).load(w, "indexer.k_norm", head_dim)?,
            weights: Linear { scale, ..weights },
            rope,
            pool: None,
        })
    }

    /// The same choosing blocks of positions, with `indexer_compressor_{gate,ape}`.
    pub fn with_pool(self, w: &Weights<'_>, n_embd: usize, choice: Choice) -> Result<Self, Error> {
        let head_dim = self.sizes.head_dim;
        let pool = KeyPool {
            gate: w.linear("indexer_compressor_gate", [n_embd, head_dim])?,
            places: w.groups("indexer_compressor_ape.weight", [head_dim, choice.stride])?,
        };
        Ok(Self { pool: Some(pool), choice, ..self })
    }

    /// What it caches.
    pub fn cache(&self) -> CacheShape {
        CacheShape { width: self.sizes.head_dim, stride: self.choice.stride }
    }

    /// Sizes of its recurrent states.
    pub fn states(&self) -> Vec<usize> {
        let per_position = 2 * self.sizes.head_dim;
        self.pool.iter().map(|_| self.choice.stride * per_position).collect()
    }

    /// Makes what layers share.
    pub fn prepare(&self, cx: &mut Forward<'_>) {
        if let IndexRope::Front(rope) | IndexRope::Back(rope) = &self.rope {
            cx.prepare_rope(rope);
        }
    }

    /// Stores the keys of `x` in cache `index` of layer `il`, and leaves in [`Forward::shared`] the
    /// names of the positions chosen from [`Choice::first`] on. Queries come from `latent`.
    pub fn forward(&self, cx: &mut Forward<'_>, x: Tensor, latent: Tensor, cache: [usize; 2]) {
        let k = cx.linear1(x, &self.k);
        let k = self.k_norm.forward(cx, k);
        let k = self.rotated(cx, k);
        let k = match &self.pool {
            None => k,
            Some(pool) => {
                let gate = cx.linear1(x, &pool.gate);
                let pool = BlockPool {
                    values: k,
                    scores: Some(gate),
                    places: Some(&pool.places),
                    block: self.choice.stride,
                    overlap: false,
                };
                cx.pool_blocks(&pool, [cache[0], 0])
            }
        };
        cx.cache_write(k, cache);

        let q = cx.linear1(latent, &self.q);
        let q = self.rotated(cx, q);
        let weights = cx.linear1(x, &self.weights);
        let selection = Selection {
            q,
            n_head: self.sizes.n_head,
            scoring: Scoring::Rectified(weights),
            top_k: self.choice.top_k / self.choice.stride,
            names: self.choice.names(),
        };
        choose(cx, &selection, cache, self.choice.first());
    }

    fn rotated(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        match &self.rope {
            IndexRope::None => x,
            IndexRope::Front(rope) => {
                let table = cx.prepared_rope(rope);
                cx.rotate(x, &table);
                x
            }
            IndexRope::Back(rope) => {
                let table = cx.prepared_rope(rope);
                table.rotate_tails(&mut **cx, x, self.sizes.head_dim)
            }
        }
    }
}

/// Leaves a choice of names in [`Forward::shared`], in the place of the one before.
pub fn choose(cx: &mut Forward<'_>, selection: &Selection, cache: [usize; 2], first: usize) {
    let names = cx.select(selection, cache, first);
    match (cx.shared, names) {
        (Some(before), Some(names)) => cx.assign(before, names),
        _ => cx.shared = names,
    }
}

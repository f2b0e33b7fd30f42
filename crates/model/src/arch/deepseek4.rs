//! DeepSeek-V4 (2026): hyper-connections, and attention whose keys are values, to a window of
//! positions and to pooled blocks: of 128 positions, or of 4, which an indexer chooses.

use backend::{
    BlockPool, CacheAttention, Gating, Glu, Linear, Names, Scoring, Selection, Vector, Visible,
    Weight,
};

use super::prelude::*;
use crate::blocks::hyper::{Collapse, HyperDecoder, HyperLayer, HyperSizes};
use crate::blocks::indexer::{IndexSizes, choose};
use crate::blocks::moe::{common_silu_limits, gated_ffn};
use crate::blocks::rope::Rope;
use crate::hparams::Heads;
use crate::memory::CacheShape;

/// Blocks of so many positions overlap, and an indexer chooses among them.
const CHOSEN_BLOCK: usize = 4;
/// All blocks of so many positions are seen.
const SEEN_BLOCK: usize = 128;
/// Least sum of experts' weights.
const LEAST_SUM: f32 = 6.103_515_6e-5;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights } = source;
    let norm = source.rms_norm()?;
    let experts = source.routing()?;
    if experts.gating != Gating::SqrtSoftplus {
        let (key, value) = ("expert_gating_func".into(), format!("{:?}", experts.gating));
        return Err(Error::Value { key, value, expected: "4".into() });
    }
    let rope = Rope::load_for(keys, weights, hp, hp.n_rot, RopeLayout::Norm)?;
    let base = keys.f32("attention.compress_rope_freq_base")?;
    let ropes = [
        Arc::new(Rope { magnitude: 1.0, ..rope.unscaled(rope.freq_base) }),
        Arc::new(Rope { magnitude: 1.0, freq_base: base, ..rope }),
    ];
    let shape = AttentionShape::load(source, norm)?;
    let index = IndexSizes::load(keys)?;
    ropes[1].for_heads(index.head_dim, RopeLayout::Norm)?;
    let ratios = keys.per_layer("attention.compress_ratios", hp.n_layer)?;
    let ratios = ratios.unwrap_or_else(|| vec![0; hp.n_layer]);
    let hyper = HyperSizes::load(keys, hp.n_embd)?;
    let gates = common_silu_limits(keys, hp, |limit| Glu::ClampedSilu { limit })?;
    let n_hashed = keys.opt_usize("hash_layer_count")?.unwrap_or(0);
    let n_vocab = weights.table("token_embd.weight", hp.n_embd)?.rows();
    let last = norm.load(weights, "output_norm", hp.n_embd)?;
    let collapse = Collapse::load(weights, hyper, norm)?;
    let model = HyperDecoder::load(source, hyper.n, collapse, last, |il, w| {
        let compressed = match ratios[il] {
            0 => None,
            CHOSEN_BLOCK | SEEN_BLOCK => Some(Compressed::load(w, shape, ratios[il], index, norm)?),
            other => {
                return Err(Error::Value {
                    key: "attention.compress_ratios".into(),
                    value: other.to_string(),
                    expected: format!("0, {CHOSEN_BLOCK} or {SEEN_BLOCK}"),
                });
            }
        };
        let rope = ropes[usize::from(compressed.is_some())].clone();
        let attention = WindowAttention::load(w, shape, rope, compressed, norm)?;
        let glus = gates(il);
        let ffn: Box<dyn FeedForward> = match il < n_hashed {
            false => gated_ffn(w, hp, &experts, glus)?,
            true => Box::new(HashedMoe::load(w, source, &experts, glus, n_vocab)?),
        };
        HyperLayer::load(w, hyper, norm, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

/// The sizes of the attention.
#[derive(Clone, Copy)]
struct AttentionShape {
    n_embd: usize,
    n_head: usize,
    head_dim: usize,
    q_rank: usize,
    n_groups: usize,
    o_rank: usize,
    window: usize,
    q_norm: NormKind,
}

impl AttentionShape {
    fn load(source: &Source<'_>, q_norm: NormKind) -> Result<Self, Error> {
        let Source { keys, hp, .. } = source;
        let Heads { n_head, head_dim, .. } = hp.heads(0)?;
        let n_groups = keys.count("attention.output_group_count")?;
        if !n_head.is_multiple_of(n_groups) {
            let (key, value) = ("attention.output_group_count".into(), n_groups.to_string());
            return Err(Error::Value { key, value, expected: format!("a divisor of {n_head}") });
        }
        Ok(Self {
            n_embd: hp.n_embd,
            n_head,
            head_dim,
            q_rank: keys.width("attention.q_lora_rank")?,
            n_groups,
            o_rank: keys.width("attention.output_lora_rank")?,
            window: keys.width("attention.sliding_window")?,
            q_norm,
        })
    }
}

/// Attention of many heads to one key per position, which is its value too; what positions have
/// turned is turned back afterwards.
struct WindowAttention {
    shape: AttentionShape,
    q_down: Linear,
    q_latent_norm: Norm,
    q_up: Linear,
    q_norm: Norm,
    kv: Linear,
    kv_norm: Norm,
    rope: Arc<Rope>,
    compressed: Option<Compressed>,
    sinks: Vector,
    groups: Weight,
    output: Linear,
}

impl WindowAttention {
    fn load(
        w: &Weights<'_>,
        shape: AttentionShape,
        rope: Arc<Rope>,
        compressed: Option<Compressed>,
        norm: NormKind,
    ) -> Result<Self, Error> {
        let AttentionShape { n_embd, n_head, head_dim, q_rank, n_groups, o_rank, .. } = shape;
        rope.for_heads(head_dim, RopeLayout::Norm)?;
        let groups = [n_head * head_dim / n_groups, o_rank, n_groups];
        Ok(Self {
            shape,
            q_down: w.linear("attn_q_a", [n_embd, q_rank])?,
            q_latent_norm: norm.load(w, "attn_q_a_norm", q_rank)?,
            q_up: w.linear("attn_q_b", [q_rank, n_head * head_dim])?,
            q_norm: shape.q_norm.plain_groups(head_dim),
            kv: w.linear("attn_kv", [n_embd, head_dim])?,
            kv_norm: norm.load(w, "attn_kv_a_norm", head_dim)?,
            rope,
            compressed,
            sinks: w.vector("attn_sinks.weight", n_head)?,
            groups: w.joined_stack("attn_output_a.weight", groups)?,
            output: w.linear("attn_output_b", [n_groups * o_rank, n_embd])?,
        })
    }

    fn attend(&self, cx: &mut Forward<'_>, il: usize, q: Tensor) -> Tensor {
        let AttentionShape { n_head, head_dim, window, .. } = self.shape;
        let near = cx.source(il, [0, 0], Visible::Last(window));
        let far = self.compressed.iter().map(|_| cx.source(il, [1, 1], Visible::ALL));
        let sources: Vec<_> = far.chain([near]).collect();
        let attention = CacheAttention {
            q,
            n_head,
            n_head_kv: 1,
            head_dim_v: head_dim,
            scale: 1.0 / (head_dim as f32).sqrt(),
            sinks: Some(&self.sinks),
            sources: &sources,
        };
        let index = self.compressed.as_ref().and_then(|compressed| compressed.index.as_ref());
        match (index, cx.shared) {
            (Some(index), Some(names)) => {
                let chosen = Visible::Chosen { names, n_sets: 1 };
                cx.attend_to_chosen(&attention, index.first(), chosen)
            }
            _ => cx.attend_to_cache(&attention),
        }
    }
}

impl Mixer for WindowAttention {
    fn caches(&self) -> Vec<CacheShape> {
        let own = CacheShape::of_positions(self.shape.head_dim);
        [own].into_iter().chain(self.compressed.iter().flat_map(Compressed::caches)).collect()
    }

    fn states(&self) -> Vec<usize> {
        self.compressed.as_ref().map(Compressed::states).unwrap_or_default()
    }

    fn prepare(&self, cx: &mut Forward<'_>) {
        cx.prepare_rope(&self.rope);
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor) -> Tensor {
        let head_dim = self.shape.head_dim;
        let table = cx.prepared_rope(&self.rope);
        let q_latent = cx.linear1(x, &self.q_down);
        let q_latent = self.q_latent_norm.forward(cx, q_latent);
        let q = cx.linear1(q_latent, &self.q_up);
        let q = self.q_norm.forward(cx, q);
        let q = table.rotate_tails(&mut **cx, q, head_dim);
        let kv = cx.linear1(x, &self.kv);
        let kv = self.kv_norm.forward(cx, kv);
        let kv = table.rotate_tails(&mut **cx, kv, head_dim);
        cx.cache_write(kv, [il, 0]);
        if let Some(compressed) = &self.compressed {
            compressed.forward(cx, il, x, q_latent, &self.rope);
        }
        let a = self.attend(cx, il, q);
        let back = cx.reverse_rope_table(&self.rope);
        let a = back.rotate_tails(&mut **cx, a, head_dim);
        let a = cx.linear_heads(a, &self.groups);
        cx.linear1(a, &self.output)
    }
}

/// Pooled blocks of positions.
struct Compressed {
    blocks: Compressor,
    index: Option<Index>,
}

/// What chooses among the blocks.
struct Index {
    sizes: IndexSizes,
    blocks: Compressor,
    q: Linear,
    weights: Linear,
}

/// Values of a block's positions by the softmax of their gates.
struct Compressor {
    width: usize,
    block: usize,
    values: Linear,
    gate: Linear,
    places: Vector,
    norm: Norm,
}

impl Compressor {
    /// Loads `NAME_compressor_{kv,gate,ape,norm}`.
    fn load(
        w: &Weights<'_>,
        name: &str,
        [n_embd, width, block]: [usize; 3],
        norm: NormKind,
    ) -> Result<Self, Error> {
        let cols = if block == CHOSEN_BLOCK { 2 * width } else { width };
        Ok(Self {
            width,
            block,
            values: w.linear(&format!("{name}_compressor_kv"), [n_embd, cols])?,
            gate: w.linear(&format!("{name}_compressor_gate"), [n_embd, cols])?,
            places: w.groups(&format!("{name}_compressor_ape.weight"), [cols, block])?,
            norm: norm.load(w, &format!("{name}_compressor_norm"), width)?,
        })
    }

    fn cache(&self) -> CacheShape {
        CacheShape { width: self.width, stride: self.block }
    }

    fn state_len(&self) -> usize {
        let rows = if self.block == CHOSEN_BLOCK { 2 * self.block } else { self.block };
        rows * 2 * self.values.weight.rows()
    }

    /// Caches the blocks that the batch completes.
    fn forward(
        &self,
        cx: &mut Forward<'_>,
        x: Tensor,
        rope: &Rope,
        [il, cache, state]: [usize; 3],
    ) {
        let both = cx.linear(x, &[&self.values, &self.gate]);
        let cols = both.cols() / 2;
        let pool = BlockPool {
            values: both.columns(0..cols),
            scores: Some(both.columns(cols..2 * cols)),
            places: Some(&self.places),
            block: self.block,
            overlap: self.block == CHOSEN_BLOCK,
        };
        let rows = cx.pool_blocks(&pool, [il, state]);
        let rows = self.norm.forward(cx, rows);
        let table = cx.block_rope_table(rope, self.block);
        let rows = table.rotate_tails(&mut **cx, rows, self.width);
        cx.cache_write(rows, [il, cache]);
    }
}

impl Index {
    /// The first position from which not all blocks are seen.
    fn first(&self) -> usize {
        let blocks = self.sizes.top_k.saturating_add(1);
        blocks.saturating_mul(CHOSEN_BLOCK) - 1
    }
}

impl Compressed {
    fn load(
        w: &Weights<'_>,
        shape: AttentionShape,
        block: usize,
        sizes: IndexSizes,
        norm: NormKind,
    ) -> Result<Self, Error> {
        let AttentionShape { n_embd, head_dim, q_rank, .. } = shape;
        let IndexSizes { n_head, head_dim: width, .. } = sizes;
        let index = || {
            let weights = w.linear("indexer.proj", [n_embd, n_head])?;
            let scale = weights.scale / ((n_head * width) as f32).sqrt();
            Ok::<_, Error>(Index {
                sizes,
                blocks: Compressor::load(w, "indexer", [n_embd, width, block], norm)?,
                q: w.linear("indexer.attn_q_b", [q_rank, n_head * width])?,
                weights: Linear { scale, ..weights },
            })
        };
        Ok(Self {
            blocks: Compressor::load(w, "attn", [n_embd, head_dim, block], norm)?,
            index: (block == CHOSEN_BLOCK).then(index).transpose()?,
        })
    }

    fn compressors(&self) -> impl Iterator<Item = &Compressor> {
        [&self.blocks].into_iter().chain(self.index.iter().map(|index| &index.blocks))
    }

    fn caches(&self) -> Vec<CacheShape> {
        self.compressors().map(Compressor::cache).collect()
    }

    fn states(&self) -> Vec<usize> {
        self.compressors().map(Compressor::state_len).collect()
    }

    /// Caches blocks, and chooses among them for queries from `q_latent`.
    fn forward(
        &self,
        cx: &mut Forward<'_>,
        il: usize,
        x: Tensor,
        q_latent: Tensor,
        rope: &Arc<Rope>,
    ) {
        self.blocks.forward(cx, x, rope, [il, 1, 0]);
        let Some(index) = &self.index else { return };
        index.blocks.forward(cx, x, rope, [il, 2, 1]);
        let table = cx.prepared_rope(rope);
        let q = cx.linear1(q_latent, &index.q);
        let q = table.rotate_tails(&mut **cx, q, index.sizes.head_dim);
        let weights = cx.linear1(x, &index.weights);
        let selection = Selection {
            q,
            n_head: index.sizes.n_head,
            scoring: Scoring::Rectified(weights),
            top_k: index.sizes.top_k,
            names: Names::Rows,
        };
        choose(cx, &selection, [il, 2], index.first());
    }
}

/// Experts that the token's id chooses; how much they count the router says.
struct HashedMoe {
    moe: Moe,
    n_used: usize,
    /// `[n_vocab][n_used]`
    experts: Vec<i32>,
}

impl HashedMoe {
    fn load(
        w: &Weights<'_>,
        source: &Source<'_>,
        routing: &Routing,
        [of_experts, of_shared]: [Glu; 2],
        n_vocab: usize,
    ) -> Result<Self, Error> {
        let hp = &source.hp;
        let mut moe = Moe::routed(w, hp, hp.n_embd, routing.clone(), of_experts)?;
        moe.shared = Some((Ffn::gated_named(w, "_shexp", hp.n_embd, of_shared)?, None));
        let n_used = routing.n_used;
        let experts = w.integers("ffn_gate_tid2eid.weight", [n_used, n_vocab])?;
        let known = 0..hp.n_expert as i32;
        if let Some(other) = experts.iter().find(|id| !known.contains(id)) {
            let (key, value) = (w.full_name("ffn_gate_tid2eid.weight"), other.to_string());
            return Err(Error::Value { key, value, expected: format!("below {}", hp.n_expert) });
        }
        Ok(Self { moe, n_used, experts })
    }
}

impl FeedForward for HashedMoe {
    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let logits = cx.linear1(x, &self.moe.router);
        let n_expert = logits.cols();
        let mut scores = vec![0.0; x.rows() * n_expert];
        cx.download(logits, &mut scores);
        let mut chosen: Vec<(usize, f32)> = Vec::with_capacity(x.rows() * self.n_used);
        for (token, scores) in cx.tokens_of(x.rows()).into_iter().zip(scores.chunks(n_expert)) {
            let ids = &self.experts[token as usize * self.n_used..][..self.n_used];
            let weight = |id: i32| {
                let x: f32 = scores[id as usize];
                (x.max(0.0) + (-x.abs()).exp().ln_1p()).sqrt()
            };
            let sum: f32 = ids.iter().map(|&id| weight(id)).sum();
            let routing = &self.moe.routing;
            let divisor = if routing.normalize { sum.max(LEAST_SUM) } else { 1.0 };
            let factor = routing.scale / divisor;
            let first = chosen.len();
            for &id in ids {
                let expert = id as usize;
                let known = chosen[first..].iter_mut().find(|(known, _)| *known == expert);
                match known {
                    Some((_, sum)) => *sum += weight(id) * factor,
                    None => chosen.push((expert, weight(id) * factor)),
                }
            }
            // Each row has as many experts: those missing are some others, which don't count.
            let others = (0..n_expert).filter(|expert| !ids.contains(&(*expert as i32)));
            chosen.extend(
                others.map(|expert| (expert, 0.0)).take(first + self.n_used - chosen.len()),
            );
        }
        let y = cx.moe_chosen(x, &chosen, &self.moe.experts);
        if let Some((shared, _)) = &self.moe.shared {
            let shared = shared.forward(cx, x);
            cx.add_assign(y, shared);
        }
        y
    }
}

//! Gemma 3n (Google DeepMind 2025): four residual streams of which layers compute on one (AltUp),
//! low-rank residuals beside attention (LAuReL), embeddings of each layer's own, sparse
//! feed-forwards in the first layers (You et al. 2025, arXiv:2506.06644), and last layers that attend to keys and values of earlier ones.

use std::f32::consts::FRAC_1_SQRT_2;
use std::sync::Arc;

use backend::{Activation, AttentionParams, Linear, Mask, RopeLayout, Tensor};

use crate::blocks::altup::{AltUp, AltUpLayer, add_to_inactive, stream};
use crate::blocks::attention::{Qkv, load_queries};
use crate::blocks::ffn::{FeedForward, Ffn};
use crate::blocks::head::{Embedding, Head};
use crate::blocks::laurel::Laurel;
use crate::blocks::norm::{Norm, NormKind};
use crate::blocks::per_layer::{PerLayerGate, PerLayerInputs};
use crate::blocks::rope::{Rope, RopeTable};
use crate::error::Error;
use crate::forward::Forward;
use crate::source::Source;
use crate::{Model, OutputKind, Shape};

// Sizes that all models share; llama.cpp doesn't ask files for them either.

/// Every fifth layer attends to everything, unless the file says otherwise.
const PATTERN: usize = 5;
/// Layers with keys and values of their own.
const KV_LAYERS: usize = 20;
/// Width of a layer's own embeddings.
const PER_LAYER_WIDTH: usize = 256;
/// Rank of the residuals beside attention.
const LAUREL_RANK: usize = 64;
/// Layers with sparse feed-forwards.
const SPARSE_LAYERS: usize = 10;
/// Standard deviations that the top 5 % of a normal distribution exceed.
const SPARSE_CUTOFF: f32 = 1.644_853_6;
const LOGIT_SOFTCAP: f32 = 30.0;

struct Gemma3n {
    shape: Shape,
    embedding: Embedding,
    per_layer_inputs: PerLayerInputs,
    altup: AltUp,
    rope: Rope,
    rope_sliding: Rope,
    layers: Vec<Layer>,
    head: Head,
}

struct Layer {
    sliding: bool,
    attention: AttentionParams,
    altup: AltUpLayer,
    attn_norm: Norm,
    laurel: Laurel,
    projections: Projections,
    q_norm: Norm,
    attn_output: Linear,
    attn_post_norm: Norm,
    ffn_norm: Norm,
    ffn: Ffn,
    ffn_post_norm: Norm,
    per_layer: PerLayerGate,
}

/// What a layer attends to.
enum Projections {
    Own { qkv: Qkv, k_norm: Norm, v_norm: Norm },
    Shared { queries: Linear, from: usize },
}

/// A batch between layers.
struct State {
    streams: Tensor,
    per_layer_inputs: Tensor,
    rope: RopeTable,
    rope_sliding: RopeTable,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights: w } = source;
    let norm = source.rms_norm()?;
    let mut embedding = Embedding::load(w, hp)?;
    embedding.scale = (hp.n_embd as f32).sqrt();
    let sliding = keys.sliding_layers(hp.n_layer, PATTERN, false)?;
    let window = keys.width("attention.sliding_window")?;
    let mask = |il: usize| if sliding[il] { Mask::Sliding(window) } else { Mask::Causal };
    let layers = (0..hp.n_layer)
        .map(|il| Layer::load(source, norm, il, &sliding, mask(il)))
        .collect::<Result<_, Error>>()?;
    let rope = Rope::load(keys, w, hp, RopeLayout::Neox)?;
    let sliding_base = keys.opt_f32("rope.freq_base_swa")?.unwrap_or(10_000.0);
    let with_kv = 0..hp.n_layer.min(KV_LAYERS);
    let kv = with_kv.map(|il| Ok(hp.heads(il)?.kv().with_mask(mask(il))));
    let kv = kv.collect::<Result<_, Error>>()?;
    Ok(Arc::new(Gemma3n {
        shape: Shape {
            n_embd: hp.n_embd,
            n_vocab: embedding.table.rows(),
            n_ctx_train: hp.n_ctx_train,
            kv,
            caches: vec![],
            states: vec![],
            output: OutputKind::Logits,
        },
        per_layer_inputs: PerLayerInputs::load(
            w,
            hp,
            norm,
            PER_LAYER_WIDTH,
            embedding.table.rows(),
        )?,
        altup: AltUp::load(w, hp.n_embd)?,
        head: Head { softcap: LOGIT_SOFTCAP, ..Head::load(w, hp, norm, &embedding.table)? },
        embedding,
        rope_sliding: rope.unscaled(sliding_base),
        rope,
        layers,
    }))
}

impl Layer {
    fn load(
        source: &Source<'_>,
        kind: NormKind,
        il: usize,
        sliding: &[bool],
        mask: Mask,
    ) -> Result<Self, Error> {
        let Source { keys, hp, weights } = source;
        let w = weights.layer(il);
        let heads = hp.heads(il)?;
        let norm = |name, width| kind.load(&w, name, width);
        let projections = if il < KV_LAYERS {
            let qkv = Qkv::load(&w, heads, hp.n_embd)?;
            let k_norm = norm("attn_k_norm", heads.head_dim)?;
            Projections::Own { qkv, k_norm, v_norm: kind.plain_groups(heads.head_dim_v) }
        } else {
            let from = KV_LAYERS - if sliding[il] { 2 } else { 1 };
            keys.same_per_layer("attention.sliding_window_pattern", sliding, il, from)?;
            keys.same_per_layer("attention.head_count_kv", &hp.n_head_kv, il, from)?;
            Projections::Shared { queries: load_queries(&w, heads, hp.n_embd)?, from }
        };
        let mut ffn = Ffn::gated(&w, hp.n_embd, Activation::GeluTanh)?;
        ffn.sparsity = (il < SPARSE_LAYERS).then_some(SPARSE_CUTOFF);
        Ok(Self {
            sliding: sliding[il],
            attention: AttentionParams { mask, ..AttentionParams::causal(heads.n_head, 1.0) },
            altup: AltUpLayer::load(&w, hp, kind)?,
            attn_norm: norm("attn_norm", hp.n_embd)?,
            laurel: Laurel::load(&w, hp, kind, LAUREL_RANK)?,
            projections,
            q_norm: norm("attn_q_norm", hp.head_dim)?,
            attn_output: w.linear("attn_output", [hp.n_head[il] * hp.head_dim_v, hp.n_embd])?,
            attn_post_norm: norm("post_attention_norm", hp.n_embd)?,
            ffn_norm: norm("ffn_norm", hp.n_embd)?,
            ffn,
            ffn_post_norm: norm("post_ffw_norm", hp.n_embd)?,
            per_layer: PerLayerGate::load(&w, hp, kind, PER_LAYER_WIDTH)?,
        })
    }

    /// Changes the streams, in place.
    fn forward(&self, cx: &mut Forward<'_>, il: usize, state: &State, input: Tensor) {
        let streams = state.streams;
        self.altup.predict(cx, streams);
        let active = stream(streams, 0);

        let h = self.attn_norm.forward(cx, active);
        let rope = if self.sliding { &state.rope_sliding } else { &state.rope };
        let a = self.attend(cx, il, h, rope);
        let x = self.attn_post_norm.forward(cx, a);
        cx.add_assign(x, active);
        let laurel = self.laurel.forward(cx, h);
        cx.add_assign(x, laurel);
        cx.scale(x, FRAC_1_SQRT_2);

        let h = self.ffn_norm.forward(cx, x);
        let f = self.ffn.forward(cx, h);
        let f = self.ffn_post_norm.forward(cx, f);
        cx.add_assign(x, f);

        self.altup.correct(cx, streams, x);
        let corrected = self.altup.corrected(cx, streams);
        let own = self.per_layer.forward(cx, corrected, input);
        add_to_inactive(cx, streams, own);
    }

    fn attend(&self, cx: &mut Forward<'_>, il: usize, x: Tensor, rope: &RopeTable) -> Tensor {
        let a = match &self.projections {
            Projections::Own { qkv, k_norm, v_norm } => {
                let [q, k, v] = qkv.forward(cx, x);
                let q = self.q_norm.forward(cx, q);
                let k = k_norm.forward(cx, k);
                let v = v_norm.forward(cx, v);
                cx.rotate(q, rope);
                cx.rotate(k, rope);
                cx.attend(il, [q, k, v], &self.attention)
            }
            Projections::Shared { queries, from } => {
                let q = cx.linear1(x, queries);
                let q = self.q_norm.forward(cx, q);
                cx.rotate(q, rope);
                cx.attend_shared(*from, q, &self.attention)
            }
        };
        cx.linear1(a, &self.attn_output)
    }
}

impl Model for Gemma3n {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        let x = self.embedding.forward(cx);
        let mut state = State {
            streams: self.altup.expand(cx, x),
            per_layer_inputs: self.per_layer_inputs.forward(cx, x),
            rope: cx.rope_table(&self.rope),
            rope_sliding: cx.rope_table(&self.rope_sliding),
        };
        let (first, last) = self.layers.split_at(self.shape.kv.len());
        self.run(cx, first, 0, &state);
        // The last layers store nothing: rows without output can stop here.
        state.keep_outputs(cx);
        self.run(cx, last, first.len(), &state);
        let x = self.altup.merge(cx, state.streams);
        self.head.forward(cx, x)
    }
}

impl Gemma3n {
    fn run(&self, cx: &mut Forward<'_>, layers: &[Layer], start: usize, state: &State) {
        let mark = cx.mark();
        for (il, layer) in (start..).zip(layers) {
            let input = self.per_layer_inputs.layer(state.per_layer_inputs, il);
            layer.forward(cx, il, state, input);
            cx.release(mark);
        }
    }
}

impl State {
    fn keep_outputs(&mut self, cx: &mut Forward<'_>) {
        let parts = [&mut self.streams, &mut self.per_layer_inputs];
        let angles = [&mut self.rope.angles, &mut self.rope_sliding.angles];
        for tensor in parts.into_iter().chain(angles) {
            *tensor = cx.keep_outputs(*tensor);
        }
    }
}

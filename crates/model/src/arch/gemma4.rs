//! Gemma 4 (Google DeepMind 2026): heads of their own width in layers on sliding windows, norms of
//! values, last layers that attend to keys and values of earlier ones, embeddings of each layer's
//! own, and experts beside the feed-forward.

use backend::{AttentionParams, Linear};

use super::prelude::*;
use crate::blocks::attention::{Qkv, load_queries};
use crate::blocks::head::{Embedding, Head};
use crate::blocks::moe::load_experts;
use crate::blocks::per_layer::{PerLayerGate, PerLayerInputs};
use crate::blocks::rope::{Rope, RopeTable};
use crate::hparams::Heads;
use crate::{OutputKind, Shape};

struct Gemma4 {
    shape: Shape,
    embedding: Embedding,
    per_layer_inputs: Option<PerLayerInputs>,
    rope: Rope,
    rope_sliding: Rope,
    layers: Vec<GemmaLayer>,
    head: Head,
}

struct GemmaLayer {
    sliding: bool,
    attention: AttentionParams,
    attn_norm: Norm,
    projections: Projections,
    q_norm: Norm,
    attn_output: Linear,
    attn_post_norm: Norm,
    ffn_norm: Norm,
    ffn: Ffn,
    experts: Option<ExpertsBeside>,
    ffn_post_norm: Norm,
    per_layer: Option<PerLayerGate>,
    scale: f32,
}

/// What a layer attends to.
enum Projections {
    Own { qkv: Qkv, k_norm: Norm, v_norm: Norm },
    Shared { queries: Linear, from: usize },
}

/// Experts that read the same as the feed-forward, each with norms of their own.
struct ExpertsBeside {
    ffn_post_norm: Norm,
    router_norm: Norm,
    norm: Norm,
    experts: Moe,
    post_norm: Norm,
}

/// A batch between layers.
struct State {
    x: Tensor,
    per_layer_inputs: Option<Tensor>,
    rope: RopeTable,
    rope_sliding: RopeTable,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights: w } = source;
    let norm = source.rms_norm()?;
    let window = Window::load_flags(keys, hp)?;
    let n_shared = keys.opt_usize("attention.shared_kv_layers")?.unwrap_or(0);
    let n_kv = hp.n_layer.saturating_sub(n_shared);
    if n_kv < 2 {
        let (key, value) = ("attention.shared_kv_layers".into(), n_shared.to_string());
        return Err(Error::Value {
            key,
            value,
            expected: format!("at least 2 fewer than {}", hp.n_layer),
        });
    }
    let of_sliding = |key: &str, usual| Ok::<_, Error>(keys.opt_width(key)?.unwrap_or(usual));
    let head_dim = of_sliding("attention.key_length_swa", hp.head_dim)?;
    let head_dim_v = of_sliding("attention.value_length_swa", hp.head_dim_v)?;
    let n_rot = of_sliding("rope.dimension_count_swa", hp.n_rot)?;
    let heads = |il| {
        let heads = hp.heads(il)?;
        match window.slides(il) {
            true => Heads { head_dim, head_dim_v, ..heads }.check(),
            false => Ok(heads),
        }
    };
    let width = keys.opt_usize("embedding_length_per_layer_input")?.filter(|&width| width > 0);
    let layers = (0..hp.n_layer)
        .map(|il| GemmaLayer::load(source, norm, il, heads(il)?, &window, n_kv, width))
        .collect::<Result<_, Error>>()?;
    let rope = Rope::load(keys, w, hp, RopeLayout::Neox)?;
    let rope_sliding = rope.unscaled_sliding(keys, 10_000.0)?.without_factors();
    let rope_sliding = Rope { head_dim, ..(*rope_sliding).clone() }.with_width(Some(n_rot))?;
    let embedding = Embedding { scale: (hp.n_embd as f32).sqrt(), ..Embedding::load(w, hp)? };
    let n_vocab = embedding.table.rows();
    let inputs = |width| PerLayerInputs::load(w, hp, norm, width, n_vocab);
    let softcap = keys.opt_f32("final_logit_softcapping")?.unwrap_or(0.0);
    Ok(Arc::new(Gemma4 {
        shape: Shape {
            n_embd: hp.n_embd,
            n_vocab,
            n_ctx_train: hp.n_ctx_train,
            kv: (0..n_kv)
                .map(|il| Ok(heads(il)?.kv().with_mask(window.mask(il))))
                .collect::<Result<_, Error>>()?,
            caches: vec![],
            states: vec![],
            output: OutputKind::Logits,
        },
        per_layer_inputs: width.map(inputs).transpose()?,
        rope,
        rope_sliding: (*rope_sliding).clone(),
        layers,
        head: Head { softcap, ..Head::load(w, hp, norm, &embedding.table)? },
        embedding,
    }))
}

impl GemmaLayer {
    fn load(
        source: &Source<'_>,
        kind: NormKind,
        il: usize,
        heads: Heads,
        window: &Window,
        n_kv: usize,
        per_layer_width: Option<usize>,
    ) -> Result<Self, Error> {
        let Source { keys, hp, weights } = source;
        let w = &weights.layer(il);
        let norm = |name, width| kind.load(w, name, width);
        let sliding = window.slides(il);
        let projections = if il < n_kv {
            Projections::Own {
                qkv: Qkv::load_with_shared_values(w, heads, hp.n_embd)?,
                k_norm: norm("attn_k_norm", heads.head_dim)?,
                v_norm: kind.plain_groups(heads.head_dim_v),
            }
        } else {
            let from = n_kv - if sliding { 2 } else { 1 };
            keys.same_per_layer("attention.head_count_kv", &hp.n_head_kv, il, from)?;
            if sliding != window.slides(from) {
                let (key, value) = ("attention.sliding_window_pattern".into(), sliding.to_string());
                let expected = format!("as in layer {from}, whose keys layer {il} reads");
                return Err(Error::Value { key, value, expected });
            }
            Projections::Shared { queries: load_queries(w, heads, hp.n_embd)?, from }
        };
        let gate = |width| PerLayerGate::load(w, hp, kind, width);
        let mask = window.mask(il);
        Ok(Self {
            sliding,
            attention: AttentionParams { mask, ..AttentionParams::causal(heads.n_head, 1.0) },
            attn_norm: norm("attn_norm", hp.n_embd)?,
            projections,
            q_norm: norm("attn_q_norm", heads.head_dim)?,
            attn_output: w.linear("attn_output", [heads.n_head * heads.head_dim_v, hp.n_embd])?,
            attn_post_norm: norm("post_attention_norm", hp.n_embd)?,
            ffn_norm: norm("ffn_norm", hp.n_embd)?,
            ffn: Ffn::gated(w, hp.n_embd, Activation::GeluTanh)?,
            experts: ExpertsBeside::load(source, w, kind)?,
            ffn_post_norm: norm("post_ffw_norm", hp.n_embd)?,
            per_layer: per_layer_width.map(gate).transpose()?,
            scale: w.opt_vector("layer_output_scale.weight", 1)?.map_or(1.0, |scale| scale[0]),
        })
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

    /// Changes the residual stream of `state`, in place or, where only rows with output are wanted
    /// from here on, to these.
    fn forward(
        &self,
        cx: &mut Forward<'_>,
        il: usize,
        state: &mut State,
        model: &Gemma4,
        last_kv: bool,
    ) {
        let h = self.attn_norm.forward(cx, state.x);
        let rope = if self.sliding { state.rope_sliding } else { state.rope };
        let mut a = self.attend(cx, il, h, &rope);
        if last_kv {
            a = cx.keep_outputs(a);
            state.keep_outputs(cx);
        }
        let x = state.x;
        let a = self.attn_post_norm.forward(cx, a);
        cx.add_assign(x, a);

        let h = self.ffn_norm.forward(cx, x);
        let mut f = self.ffn.forward(cx, h);
        if let Some(experts) = &self.experts {
            f = experts.forward(cx, x, f);
        }
        let f = self.ffn_post_norm.forward(cx, f);
        cx.add_assign(x, f);

        if let (Some(gate), Some(all), Some(inputs)) =
            (&self.per_layer, &model.per_layer_inputs, state.per_layer_inputs)
        {
            let own = gate.forward(cx, x, all.layer(inputs, il));
            cx.add_assign(x, own);
        }
        if self.scale != 1.0 {
            cx.scale(x, self.scale);
        }
    }
}

impl ExpertsBeside {
    fn load(source: &Source<'_>, w: &Weights<'_>, norm: NormKind) -> Result<Option<Self>, Error> {
        if !w.has("ffn_gate_inp.weight") {
            return Ok(None);
        }
        let hp = &source.hp;
        let scale = w.vector("ffn_gate_inp.scale", hp.n_embd)?;
        let root = (hp.n_embd as f32).sqrt();
        let scale: Vec<f32> = scale.iter().map(|scale| scale / root).collect();
        let router = w.matrix("ffn_gate_inp.weight", [hp.n_embd, hp.n_expert])?;
        let act = Activation::GeluTanh.into();
        Ok(Some(Self {
            ffn_post_norm: norm.load(w, "post_ffw_norm_1", hp.n_embd)?,
            router_norm: norm.with_weight(hp.n_embd, scale.into()),
            norm: norm.load(w, "pre_ffw_norm_2", hp.n_embd)?,
            experts: Moe {
                router: Linear::plain(router),
                routing: Routing::softmax(hp.n_expert_used),
                experts: load_experts(w, "exps", hp.n_embd, hp.n_expert, act)?,
                shared: None,
            },
            post_norm: norm.load(w, "post_ffw_norm_2", hp.n_embd)?,
        }))
    }

    /// The sum of the experts' output for `x` and of the feed-forward's, `f`.
    fn forward(&self, cx: &mut Forward<'_>, x: Tensor, f: Tensor) -> Tensor {
        let sum = self.ffn_post_norm.forward(cx, f);
        let h = self.router_norm.forward(cx, x);
        let logits = cx.linear1(h, &self.experts.router);
        let h = self.norm.forward(cx, x);
        let y = self.experts.forward_routed(cx, h, logits);
        let y = self.post_norm.forward(cx, y);
        cx.add_assign(sum, y);
        sum
    }
}

impl Model for Gemma4 {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn token_embedding(&self) -> Option<&Embedding> {
        Some(&self.embedding)
    }

    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        let x = self.embedding.forward(cx);
        let mut state = State {
            x,
            per_layer_inputs: self.per_layer_inputs.as_ref().map(|inputs| inputs.forward(cx, x)),
            rope: cx.rope_table(&self.rope),
            rope_sliding: cx.rope_table(&self.rope_sliding),
        };
        let mut mark = cx.mark();
        for (il, layer) in self.layers.iter().enumerate() {
            let last_kv = il + 1 == self.shape.kv.len();
            layer.forward(cx, il, &mut state, self, last_kv);
            if last_kv {
                mark = cx.mark();
            } else {
                cx.release(mark);
            }
        }
        self.head.forward(cx, state.x)
    }
}

impl State {
    fn keep_outputs(&mut self, cx: &mut Forward<'_>) {
        let angles = [&mut self.rope.angles, &mut self.rope_sliding.angles];
        let tensors = [&mut self.x].into_iter().chain(&mut self.per_layer_inputs).chain(angles);
        tensors.for_each(|tensor| *tensor = cx.keep_outputs(*tensor));
    }
}

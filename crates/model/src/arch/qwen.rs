//! Qwen2 (Yang et al. 2024, arXiv:2407.10671) and Qwen3 (2025, arXiv:2505.09388), dense and as
//! mixtures of experts. Qwen2 has biases and Qwen3 norms on queries and keys; Qwen2 MoE has an
//! expert for all tokens, with a gate of its own.

use std::sync::Arc;

use backend::{
    Activation, AttentionParams, Gating, Linear, Mask, RopeLayout, Routing, Tensor, Weight,
};

use super::Source;
use crate::blocks::attention::{Qkv, kv_shapes};
use crate::blocks::ffn::{FeedForward, GatedFfn};
use crate::blocks::head::Head;
use crate::blocks::moe::{MoeFfn, SharedMoe};
use crate::blocks::norm::RmsNorm;
use crate::blocks::pooling::Pooling;
use crate::blocks::rope::Rope;
use crate::error::Error;
use crate::forward::Forward;
use crate::weights::Weights;
use crate::{Model, OutputKind, Shape};

struct Qwen {
    shape: Shape,
    token_embd: Weight,
    rope: Rope,
    layers: Vec<Layer>,
    head: Head,
}

struct Layer {
    attention: AttentionParams,
    attn_norm: RmsNorm,
    qkv: Qkv,
    q_norm: Option<RmsNorm>,
    k_norm: Option<RmsNorm>,
    attn_output: Linear,
    ffn_norm: RmsNorm,
    ffn: Box<dyn FeedForward>,
}

/// Kinds of feed-forward.
#[derive(Clone, Copy)]
enum Ffn {
    Dense,
    Experts,
    SharedExperts,
}

pub(super) fn load_2(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load(source, false, Ffn::Dense)
}

pub(super) fn load_2_moe(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load(source, false, Ffn::SharedExperts)
}

pub(super) fn load_3(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load(source, true, Ffn::Dense)
}

pub(super) fn load_3_moe(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load(source, true, Ffn::Experts)
}

fn load(source: &Source<'_>, with_head_norms: bool, ffn: Ffn) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights: w } = source;
    let token_embd = w.table("token_embd.weight", hp.n_embd)?;
    // Embedding models are causal too; only their way of pooling tells them apart.
    let output = match keys.opt_usize("pooling_type")? {
        None | Some(0) => OutputKind::Logits,
        Some(_) => OutputKind::Embeddings(Pooling::load(keys)?),
    };
    let layers = (0..hp.n_layer)
        .map(|il| {
            let w = w.layer(il);
            let norm = |name, width| RmsNorm::load(&w, name, width, hp.norm_eps);
            let head_norm = |name| with_head_norms.then(|| norm(name, hp.head_dim)).transpose();
            Ok(Layer {
                attention: AttentionParams {
                    n_head: hp.n_head[il],
                    scale: 1.0 / (hp.head_dim as f32).sqrt(),
                    softcap: 0.0,
                    mask: Mask::Causal,
                    sinks: None,
                },
                attn_norm: norm("attn_norm", hp.n_embd)?,
                qkv: Qkv::load(&w, hp, il)?,
                q_norm: head_norm("attn_q_norm")?,
                k_norm: head_norm("attn_k_norm")?,
                attn_output: w.linear("attn_output", [hp.n_head[il] * hp.head_dim_v, hp.n_embd])?,
                ffn_norm: norm("ffn_norm", hp.n_embd)?,
                ffn: load_ffn(source, il, ffn)?,
            })
        })
        .collect::<Result<_, Error>>()?;
    Ok(Arc::new(Qwen {
        shape: Shape {
            n_embd: hp.n_embd,
            n_vocab: token_embd.rows(),
            n_ctx_train: hp.n_ctx_train,
            kv: kv_shapes(hp),
            output,
        },
        head: Head::load(w, hp, &token_embd, output)?,
        token_embd,
        rope: Rope::load(keys, w, hp, RopeLayout::Neox)?,
        layers,
    }))
}

fn load_ffn(source: &Source<'_>, il: usize, ffn: Ffn) -> Result<Box<dyn FeedForward>, Error> {
    let Source { keys, hp, weights } = source;
    let w = weights.layer(il);
    let (n_embd, n_ff) = (hp.n_embd, hp.n_ff[il]);
    Ok(match ffn {
        Ffn::Dense => Box::new(GatedFfn::load(&w, "", [n_embd, n_ff], Activation::Silu)?),
        Ffn::Experts => Box::new(load_experts(source, &w, n_ff, true)?),
        Ffn::SharedExperts => {
            let routed = load_experts(source, &w, n_ff, false)?;
            let n_shared = keys.opt_usize("expert_shared_feed_forward_length")?;
            let size = [n_embd, n_shared.filter(|&n| n > 0).unwrap_or(n_ff)];
            let experts = SharedMoe::load(&w, routed, size, Activation::Silu)?;
            Box::new(experts.with_gate(&w, n_embd)?)
        }
    })
}

/// Files that don't name the width of experts divide that of the feed-forward among the chosen.
fn load_experts(
    source: &Source<'_>,
    w: &Weights<'_>,
    n_ff: usize,
    normalize: bool,
) -> Result<MoeFfn, Error> {
    let Source { keys, hp, .. } = source;
    keys.count("expert_count")?;
    let n_used = keys.count("expert_used_count")?;
    let n_expert_ff = keys.opt_usize("expert_feed_forward_length")?.filter(|&n| n > 0);
    let routing = Routing {
        n_used,
        gating: Gating::Softmax,
        selection_bias: None,
        normalize,
        scale: 1.0,
        weigh_input: false,
    };
    MoeFfn::load(w, hp, n_expert_ff.unwrap_or(n_ff / n_used), routing, Activation::Silu)
}

impl Model for Qwen {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        let mut x = cx.embed_tokens(&self.token_embd);
        let rope = cx.rope_table(&self.rope);
        let mark = cx.mark();
        for (il, layer) in self.layers.iter().enumerate() {
            cx.release(mark);
            let h = layer.attn_norm.forward(&mut **cx, x);
            let [mut q, mut k, v] = layer.qkv.forward(cx, h);
            if let (Some(q_norm), Some(k_norm)) = (&layer.q_norm, &layer.k_norm) {
                q = q_norm.forward(&mut **cx, q);
                k = k_norm.forward(&mut **cx, k);
            }
            cx.rotate(q, &rope);
            cx.rotate(k, &rope);
            let a = cx.attend(il, [q, k, v], &layer.attention);
            let mut a = cx.linear1(a, &layer.attn_output);
            if il + 1 == self.layers.len() {
                (x, a) = (cx.keep_outputs(x), cx.keep_outputs(a));
            }
            cx.add_assign(x, a);

            let h = layer.ffn_norm.forward(&mut **cx, x);
            let f = layer.ffn.forward(cx, h);
            cx.add_assign(x, f);
        }
        self.head.forward(cx, x)
    }
}

//! Gemma 3 (Gemma Team 2025, arXiv:2503.19786): norms on both sides of each block, norms of
//! queries and keys, and layers that mostly attend to a sliding window.

use std::sync::Arc;

use backend::{Activation, AttentionParams, Linear, Mask, RopeLayout, Tensor, Weight};

use super::Source;
use crate::blocks::attention::{Qkv, kv_shapes};
use crate::blocks::ffn::{FeedForward, GatedFfn};
use crate::blocks::head::LmHead;
use crate::blocks::norm::RmsNorm;
use crate::blocks::rope::Rope;
use crate::error::Error;
use crate::forward::Forward;
use crate::{Model, OutputKind, Shape};

/// Every sixth layer attends to everything, unless the file says otherwise.
const PATTERN: usize = 6;
/// The 27B model scales its queries by its own rule.
const LAYERS_27B: usize = 62;

struct Gemma3 {
    shape: Shape,
    token_embd: Weight,
    rope: Rope,
    rope_sliding: Rope,
    layers: Vec<Layer>,
    head: LmHead,
    logit_softcap: f32,
}

struct Layer {
    sliding: bool,
    attention: AttentionParams,
    attn_norm: RmsNorm,
    qkv: Qkv,
    q_norm: RmsNorm,
    k_norm: RmsNorm,
    attn_output: Linear,
    attn_post_norm: RmsNorm,
    ffn_norm: RmsNorm,
    ffn: GatedFfn,
    ffn_post_norm: RmsNorm,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights: w } = source;
    let token_embd = w.table("token_embd.weight", hp.n_embd)?;
    let window = keys.opt_usize("attention.sliding_window")?.filter(|&n| n > 0);
    let sliding = match window {
        Some(_) => keys.sliding_layers(hp.n_layer, PATTERN)?,
        None => vec![false; hp.n_layer],
    };
    let query_width = if hp.n_layer == LAYERS_27B { hp.n_embd / hp.n_head[0] } else { hp.head_dim };
    let layers = (0..hp.n_layer)
        .map(|il| {
            let w = w.layer(il);
            let norm = |name, width| RmsNorm::load(&w, name, width, hp.norm_eps);
            let mask = match window {
                Some(n) if sliding[il] => Mask::Sliding(n),
                _ => Mask::Causal,
            };
            Ok(Layer {
                sliding: sliding[il],
                attention: AttentionParams {
                    n_head: hp.n_head[il],
                    scale: 1.0 / (query_width as f32).sqrt(),
                    softcap: 0.0,
                    mask,
                    sinks: None,
                },
                attn_norm: norm("attn_norm", hp.n_embd)?,
                qkv: Qkv::load(&w, hp, il)?,
                q_norm: norm("attn_q_norm", hp.head_dim)?,
                k_norm: norm("attn_k_norm", hp.head_dim)?,
                attn_output: w.linear("attn_output", [hp.n_head[il] * hp.head_dim_v, hp.n_embd])?,
                attn_post_norm: norm("post_attention_norm", hp.n_embd)?,
                ffn_norm: norm("ffn_norm", hp.n_embd)?,
                ffn: GatedFfn::load(&w, "", [hp.n_embd, hp.n_ff[il]], Activation::GeluTanh)?,
                ffn_post_norm: norm("post_ffw_norm", hp.n_embd)?,
            })
        })
        .collect::<Result<_, Error>>()?;
    let rope = Rope::load(keys, w, hp, RopeLayout::Neox)?;
    let sliding_base = keys.opt_f32("rope.freq_base_swa")?.unwrap_or(10_000.0);
    Ok(Arc::new(Gemma3 {
        shape: Shape {
            n_embd: hp.n_embd,
            n_vocab: token_embd.rows(),
            n_ctx_train: hp.n_ctx_train,
            kv: kv_shapes(hp),
            output: OutputKind::Logits,
        },
        head: LmHead::load(w, hp, &token_embd)?,
        token_embd,
        rope_sliding: rope.unscaled(sliding_base),
        rope,
        layers,
        logit_softcap: keys.opt_f32("final_logit_softcapping")?.unwrap_or(0.0),
    }))
}

impl Model for Gemma3 {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        let mut x = cx.embed_tokens(&self.token_embd);
        cx.scale(x, (self.shape.n_embd as f32).sqrt());
        let rope_global = cx.rope_table(&self.rope);
        let rope_sliding = cx.rope_table(&self.rope_sliding);
        let mark = cx.mark();
        for (il, layer) in self.layers.iter().enumerate() {
            cx.release(mark);
            let rope = if layer.sliding { &rope_sliding } else { &rope_global };
            let h = layer.attn_norm.forward(&mut **cx, x);
            let [q, k, v] = layer.qkv.forward(cx, h);
            let q = layer.q_norm.forward(&mut **cx, q);
            let k = layer.k_norm.forward(&mut **cx, k);
            cx.rotate(q, rope);
            cx.rotate(k, rope);
            let a = cx.attend(il, [q, k, v], &layer.attention);
            let mut a = cx.linear1(a, &layer.attn_output);
            if il + 1 == self.layers.len() {
                (x, a) = (cx.keep_outputs(x), cx.keep_outputs(a));
            }
            let a = layer.attn_post_norm.forward(&mut **cx, a);
            cx.add_assign(x, a);

            let h = layer.ffn_norm.forward(&mut **cx, x);
            let f = layer.ffn.forward(cx, h);
            let f = layer.ffn_post_norm.forward(&mut **cx, f);
            cx.add_assign(x, f);
        }
        let logits = self.head.forward(cx, x);
        if self.logit_softcap != 0.0 {
            cx.softcap(logits, self.logit_softcap);
        }
        logits
    }
}

//! Llama 4: three of four layers attend to their chunk with rotary positions, the fourth to
//! everything without; experts, weighed at their input, alternate with dense layers.

use std::sync::Arc;

use backend::{
    Activation, AttentionParams, Gating, Linear, Mask, RopeLayout, Routing, Tensor, Weight,
};

use super::Source;
use crate::blocks::attention::{Qkv, kv_shapes};
use crate::blocks::ffn::{FeedForward, GatedFfn};
use crate::blocks::head::LmHead;
use crate::blocks::moe::{MoeFfn, SharedMoe};
use crate::blocks::norm::RmsNorm;
use crate::blocks::rope::Rope;
use crate::error::Error;
use crate::forward::Forward;
use crate::{Model, OutputKind, Shape};

/// Positions per chunk of local attention, whatever the file says.
const CHUNK: usize = 8192;
/// Layers between those without rotary positions.
const NO_ROPE_STEP: usize = 4;
/// The 128-expert model does not normalise queries and keys.
const EXPERTS_WITHOUT_QK_NORM: usize = 128;
/// Queries of layers without rotary positions grow by this times the logarithm of their chunk.
const TEMPERATURE: f64 = 0.1;

struct Llama4 {
    shape: Shape,
    token_embd: Weight,
    rope: Rope,
    rope_chunked: Rope,
    qk_norm: bool,
    norm_eps: f32,
    head_dim: usize,
    layers: Vec<Layer>,
    head: LmHead,
}

struct Layer {
    rotary: bool,
    attention: AttentionParams,
    attn_norm: RmsNorm,
    qkv: Qkv,
    attn_output: Linear,
    ffn_norm: RmsNorm,
    ffn: Box<dyn FeedForward>,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights: w } = source;
    let token_embd = w.table("token_embd.weight", hp.n_embd)?;
    let n_expert = keys.count("expert_count")?;
    let n_ff_exp = keys.width("expert_feed_forward_length")?;
    let moe_step = keys.opt_usize("interleave_moe_layer_step")?.unwrap_or(0);
    let chunked = match keys.opt_usize("attention.sliding_window")? {
        Some(0) => None,
        _ => Some(keys.sliding_layers(hp.n_layer, NO_ROPE_STEP)?),
    };
    let routing = Routing {
        n_used: hp.n_expert_used,
        gating: Gating::Sigmoid,
        selection_bias: None,
        normalize: false,
        scale: 1.0,
        weigh_input: true,
    };
    let layers = (0..hp.n_layer)
        .map(|il| {
            let w = w.layer(il);
            let size = [hp.n_embd, hp.n_ff[il]];
            let ffn: Box<dyn FeedForward> = if moe_step > 0 && (il + 1) % moe_step == 0 {
                let routed = MoeFfn::load(&w, hp, n_ff_exp, routing.clone(), Activation::Silu)?;
                Box::new(SharedMoe::load(&w, routed, [hp.n_embd, n_ff_exp], Activation::Silu)?)
            } else {
                Box::new(GatedFfn::load(&w, "", size, Activation::Silu)?)
            };
            let in_chunk = chunked.as_ref().is_some_and(|layers| layers[il]);
            Ok(Layer {
                rotary: chunked.is_none() || (il + 1) % NO_ROPE_STEP != 0,
                attention: AttentionParams {
                    n_head: hp.n_head[il],
                    scale: 1.0 / (hp.head_dim as f32).sqrt(),
                    softcap: 0.0,
                    mask: if in_chunk { Mask::Chunked(CHUNK) } else { Mask::Causal },
                    sinks: None,
                },
                attn_norm: RmsNorm::load(&w, "attn_norm", hp.n_embd, hp.norm_eps)?,
                qkv: Qkv::load(&w, hp, il)?,
                attn_output: w.linear("attn_output", [hp.n_head[il] * hp.head_dim_v, hp.n_embd])?,
                ffn_norm: RmsNorm::load(&w, "ffn_norm", hp.n_embd, hp.norm_eps)?,
                ffn,
            })
        })
        .collect::<Result<_, Error>>()?;
    let rope = Rope::load(keys, w, hp, RopeLayout::Norm)?;
    let chunked_base = keys.opt_f32("rope.freq_base_swa")?.unwrap_or(rope.freq_base);
    Ok(Arc::new(Llama4 {
        shape: Shape {
            n_embd: hp.n_embd,
            n_vocab: token_embd.rows(),
            n_ctx_train: hp.n_ctx_train,
            kv: kv_shapes(hp),
            output: OutputKind::Logits,
        },
        head: LmHead::load(w, hp, &token_embd)?,
        token_embd,
        rope_chunked: Rope { freq_base: chunked_base, ..rope.clone() },
        rope,
        qk_norm: n_expert != EXPERTS_WITHOUT_QK_NORM,
        norm_eps: hp.norm_eps,
        head_dim: hp.head_dim,
        layers,
    }))
}

impl Llama4 {
    /// Queries of far positions, sharpened: `1 + 0.1 ln(1 + floor((pos + 1) / 8192))`.
    fn temperatures(&self, cx: &Forward<'_>) -> Vec<f32> {
        cx.positions()
            .map(|pos| (1.0 + TEMPERATURE * (((pos + 1) / CHUNK) as f64).ln_1p()) as f32)
            .collect()
    }
}

impl Model for Llama4 {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        let mut x = cx.embed_tokens(&self.token_embd);
        let rope_global = cx.rope_table(&self.rope);
        let rope_chunked = cx.rope_table(&self.rope_chunked);
        let temperatures = self.temperatures(cx);
        let mark = cx.mark();
        for (il, layer) in self.layers.iter().enumerate() {
            cx.release(mark);
            let h = layer.attn_norm.forward(&mut **cx, x);
            let [mut q, mut k, v] = layer.qkv.forward(cx, h);
            if layer.rotary {
                let chunked = matches!(layer.attention.mask, Mask::Chunked(_));
                let rope = if chunked { &rope_chunked } else { &rope_global };
                cx.rotate(q, rope);
                cx.rotate(k, rope);
                if self.qk_norm {
                    q = cx.rms_norm(q, self.head_dim, None, self.norm_eps);
                    k = cx.rms_norm(k, self.head_dim, None, self.norm_eps);
                }
            } else {
                cx.scale_rows(q, &temperatures);
            }
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

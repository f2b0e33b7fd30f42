//! LLaMA 1 to 3 and all models of that form: Mistral, Mixtral, Yi, SmolLM2…
//! (Touvron et al. 2023, arXiv:2302.13971). `llama-embed` is the same without causality.

use std::sync::Arc;

use backend::{
    Activation, AttentionParams, Gating, Linear, Mask, RopeLayout, Routing, Tensor, Weight,
};

use super::Source;
use crate::blocks::attention::{Qkv, kv_shapes};
use crate::blocks::ffn::{FeedForward, GatedFfn};
use crate::blocks::head::Head;
use crate::blocks::moe::MoeFfn;
use crate::blocks::norm::RmsNorm;
use crate::blocks::pooling::Pooling;
use crate::blocks::rope::Rope;
use crate::error::Error;
use crate::forward::Forward;
use crate::{Model, OutputKind, Shape};

struct Llama {
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
    attn_output: Linear,
    ffn_norm: RmsNorm,
    ffn: Box<dyn FeedForward>,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load_as(source, OutputKind::Logits)
}

pub(super) fn load_embedding(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load_as(source, OutputKind::Embeddings(Pooling::load(&source.keys)?))
}

fn load_as(source: &Source<'_>, output: OutputKind) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights: w } = source;
    let token_embd = w.table("token_embd.weight", hp.n_embd)?;
    let routing = Routing {
        n_used: hp.n_expert_used,
        gating: Gating::Softmax,
        selection_bias: None,
        normalize: true,
        scale: 1.0,
        weigh_input: false,
    };
    let mask = match output {
        OutputKind::Logits => Mask::Causal,
        OutputKind::Embeddings(_) => Mask::Full,
    };
    let layers = (0..hp.n_layer)
        .map(|il| {
            let w = w.layer(il);
            let (n_embd, n_ff) = (hp.n_embd, hp.n_ff[il]);
            let attn_width = hp.n_head[il] * hp.head_dim_v;
            Ok(Layer {
                attention: AttentionParams {
                    n_head: hp.n_head[il],
                    scale: 1.0 / (hp.head_dim as f32).sqrt(),
                    softcap: 0.0,
                    mask,
                    sinks: None,
                },
                attn_norm: RmsNorm::load(&w, "attn_norm", n_embd, hp.norm_eps)?,
                qkv: Qkv::load(&w, hp, il)?,
                attn_output: w.linear("attn_output", [attn_width, n_embd])?,
                ffn_norm: RmsNorm::load(&w, "ffn_norm", n_embd, hp.norm_eps)?,
                ffn: if hp.n_expert == 0 {
                    Box::new(GatedFfn::load(&w, "", [n_embd, n_ff], Activation::Silu)?)
                } else {
                    Box::new(MoeFfn::load(&w, hp, n_ff, routing.clone(), Activation::Silu)?)
                },
            })
        })
        .collect::<Result<_, Error>>()?;
    Ok(Arc::new(Llama {
        shape: Shape {
            n_embd: hp.n_embd,
            n_vocab: token_embd.rows(),
            n_ctx_train: hp.n_ctx_train,
            kv: kv_shapes(hp),
            output,
        },
        head: Head::load(w, hp, &token_embd, output)?,
        token_embd,
        rope: Rope::load(keys, w, hp, RopeLayout::Norm)?,
        layers,
    }))
}

impl Model for Llama {
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
            let [q, k, v] = layer.qkv.forward(cx, h);
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

//! DFlash (2026): a draft model that fills a block of tokens at once. What was fused of the target
//! model's features becomes keys and values of earlier positions; the block attends to them and to
//! itself.

use super::prelude::*;
use crate::blocks::draft::{DraftHead, Fusion};
use crate::blocks::head::Embedding;
use crate::{OutputKind, Shape};

struct Dflash {
    shape: Shape,
    fusion: Fusion,
    embedding: Embedding,
    layers: Vec<DflashLayer>,
    head: DraftHead,
}

struct DflashLayer {
    attn_norm: Norm,
    attention: Attention,
    attn_post_norm: Option<Norm>,
    ffn_norm: Norm,
    ffn: Ffn,
    ffn_post_norm: Option<Norm>,
    scale: f32,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights } = source;
    for unknown in ["markov_w1.weight", "selector_hidden.weight", "output_hc_fn.weight"] {
        if weights.has(unknown) {
            let key = unknown.into();
            return Err(Error::Value { key, value: "there".into(), expected: "DFlash 1".into() });
        }
    }
    let (norm, n_embd) = (source.rms_norm()?, hp.n_embd);
    let rope = source.mrope(RopeLayout::Neox, false)?;
    let n_read = keys.numbers("target_layers")?.unwrap_or_default().len();
    let activation = match keys.opt_str("hidden_act")? {
        None | Some("silu") => Activation::Silu,
        Some("gelu" | "gelu_pytorch_tanh") => Activation::GeluTanh,
        Some(other) => {
            let (key, value) = ("hidden_act".into(), other.into());
            return Err(Error::Value { key, value, expected: "silu or gelu".into() });
        }
    };
    let window = keys.opt_usize("attention.sliding_window")?.filter(|&window| window > 0);
    let slides = keys.flags("attention.sliding_window_pattern", hp.n_layer)?.unwrap_or_default();
    let scale = keys.opt_f32("attention.scale")?.filter(|&scale| scale != 0.0);
    let value_scale = keys.opt_f32("attention.value_scale")?.filter(|&scale| scale != 0.0);
    let layers = (0..hp.n_layer).map(|il| {
        let w = &weights.layer(il);
        let mask = match window.filter(|_| slides.get(il) == Some(&true)) {
            Some(window) => Mask::Sliding(window),
            None => Mask::Full,
        };
        let mut attention = Attention::load(w, hp, il)?
            .with_head_norms(w, norm)?
            .with_rope(&rope)
            .with_mask(mask)
            .with_opt_sinks(w)?;
        if let Some(scale) = scale {
            attention = attention.with_scale(scale);
        }
        if let Some(scale) = value_scale {
            attention = attention.with_output_scale(scale);
        }
        let factor = w.opt_vector("layer_output_scale.weight", 1)?;
        Ok(DflashLayer {
            attn_norm: norm.load(w, "attn_norm", n_embd)?,
            attention,
            attn_post_norm: norm.opt(w, "post_attention_norm", n_embd)?,
            ffn_norm: norm.load(w, "ffn_norm", n_embd)?,
            ffn: Ffn::gated(w, n_embd, activation)?,
            ffn_post_norm: norm.opt(w, "post_ffw_norm", n_embd)?,
            scale: factor.map_or(1.0, |factor| factor[0]),
        })
    });
    let layers = layers.collect::<Result<Vec<_>, Error>>()?;
    let scale = keys.opt_f32("embedding_scale")?.filter(|&scale| scale != 0.0).unwrap_or(1.0);
    let embedding = Embedding { scale, ..Embedding::load(weights, hp)? };
    Ok(Arc::new(Dflash {
        shape: Shape {
            n_embd,
            n_vocab: embedding.table.rows(),
            n_ctx_train: hp.n_ctx_train,
            kv: layers.iter().map(|layer| layer.attention.kv()).collect(),
            caches: vec![],
            states: vec![],
            output: OutputKind::Logits,
        },
        fusion: Fusion {
            before: None,
            linear: weights.linear("fc", [n_read * n_embd, n_embd])?,
            after: Some(norm.load(weights, "enc.output_norm", n_embd)?),
        },
        head: DraftHead::load(weights, n_embd, norm, &embedding.table)?,
        embedding,
        layers,
    }))
}

impl DflashLayer {
    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor) {
        let h = self.attn_norm.forward(cx, x);
        let a = self.attention.forward(cx, il, h);
        let a = self.attn_post_norm.as_ref().map_or(a, |norm| norm.forward(cx, a));
        cx.add_assign(x, a);
        let h = self.ffn_norm.forward(cx, x);
        let f = self.ffn.forward(cx, h);
        let f = self.ffn_post_norm.as_ref().map_or(f, |norm| norm.forward(cx, f));
        cx.add_assign(x, f);
        if self.scale != 1.0 {
            cx.scale(x, self.scale);
        }
    }
}

impl Model for Dflash {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn fusion(&self) -> Option<&Fusion> {
        Some(&self.fusion)
    }

    fn feature_width(&self) -> usize {
        self.shape.n_embd
    }

    /// With features, positions are only remembered.
    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        self.layers.iter().for_each(|layer| layer.attention.prepare(cx));
        if cx.has_features() {
            let features = cx.features(self.shape.n_embd);
            for (il, layer) in self.layers.iter().enumerate() {
                layer.attention.remember(cx, il, features);
            }
            let x = cx.keep_outputs(features);
            return self.head.forward(cx, x);
        }
        let x = self.embedding.forward(cx);
        let mark = cx.mark();
        for (il, layer) in self.layers.iter().enumerate() {
            layer.forward(cx, il, x);
            cx.release(mark);
        }
        let x = cx.keep_outputs(x);
        self.head.forward(cx, x)
    }
}

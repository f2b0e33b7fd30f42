//! Talkie (2026): norms without parameters, a gain for each query head, and the embeddings added
//! again after each layer.

use super::prelude::*;
use crate::blocks::head::{Embedding, Head};
use crate::{OutputKind, Shape};

struct Talkie {
    shape: Shape,
    embedding: Embedding,
    /// With the factor of the embeddings.
    layers: Vec<(Layer, f32)>,
    head: Head,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let layer = |il| {
        let w = &weights.layer(il);
        let attention = Attention::load(w, hp, il)?;
        let heads = attention.heads;
        let gains = w.groups("attn_q_norm.weight", [1, heads.n_head])?;
        let gains = gains.iter().flat_map(|&gain| std::iter::repeat_n(gain, heads.head_dim));
        let q_norm = norm.with_weight(heads.head_dim, gains.collect::<Vec<_>>().into());
        let attention = attention
            .with_rope(&rope)
            .with_qk_norms(q_norm, norm.plain_groups(heads.head_dim))
            .with_norms_after_rope();
        let layer = Layer {
            attn_norm: Some(norm.plain()),
            ffn_norm: Some(norm.plain()),
            ..Layer::bare(attention, Ffn::gated(w, hp.n_embd, Activation::Silu)?)
        };
        Ok((layer, w.vector("layer_output_scale.weight", 1)?[0]))
    };
    let layers = (0..hp.n_layer).map(layer).collect::<Result<Vec<_>, Error>>()?;
    let embedding = Embedding { norm: Some(norm.plain()), ..Embedding::load(weights, hp)? };
    Ok(Arc::new(Talkie {
        shape: Shape {
            n_embd: hp.n_embd,
            n_vocab: embedding.table.rows(),
            n_ctx_train: hp.n_ctx_train,
            kv: layers.iter().map(|(layer, _)| layer.kv()).collect(),
            caches: vec![],
            states: vec![],
            output: OutputKind::Logits,
        },
        head: Head {
            scale: keys.f32("logit_scale")?,
            ..Head::with_norm(weights, hp, norm.plain(), &embedding.table)?
        },
        embedding,
        layers,
    }))
}

impl Model for Talkie {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        self.layers.iter().for_each(|(layer, _)| layer.prepare(cx));
        let mut embedded = self.embedding.forward(cx);
        let mut x = cx.concat(&[embedded]);
        let mark = cx.mark();
        for (il, (layer, factor)) in self.layers.iter().enumerate() {
            cx.release(mark);
            let last = il + 1 == self.layers.len();
            x = layer.forward(cx, il, x, last);
            if last {
                embedded = cx.keep_outputs(embedded);
            }
            cx.add_scaled(x, embedded, *factor);
        }
        self.head.forward(cx, x)
    }
}

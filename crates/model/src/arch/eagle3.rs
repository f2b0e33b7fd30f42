//! EAGLE-3 (Li et al. 2025, arXiv:2503.01840): a draft model of one layer, which reads tokens beside
//! what was fused of the target model's features for those before them.

use super::prelude::*;
use crate::blocks::draft::{DraftHead, Fusion};
use crate::blocks::head::Embedding;
use crate::blocks::rope::Rope;
use crate::{OutputKind, Shape};

/// Layers of the target model that are read.
const N_READ: usize = 3;

struct Eagle3 {
    shape: Shape,
    fusion: Fusion,
    embedding: Embedding,
    token_norm: Norm,
    feature_norm: Norm,
    /// Whether the layer adds to normed features.
    norm_before_residual: bool,
    attention: Attention,
    ffn_norm: Norm,
    ffn: Ffn,
    head: DraftHead,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights } = source;
    let (norm, n_embd, w) = (source.rms_norm()?, hp.n_embd, &weights.layer(0));
    let n_read = keys.numbers("target_layers")?.unwrap_or_default().len();
    if n_read != N_READ {
        let (key, value) = ("target_layers".into(), format!("{n_read} layers"));
        return Err(Error::Value { key, value, expected: N_READ.to_string() });
    }
    let n_features = N_READ * keys.width("target_hidden_size")?;
    let norm_first = keys.opt_bool("norm_before_fc")?.unwrap_or(false);
    let before = norm_first.then(|| norm.load(weights, "enc.output_norm", n_features));
    let mut rope = Rope::load(keys, weights, hp, RopeLayout::Norm)?;
    if let Some(factors) = w.opt_vector("rope_freqs.weight", hp.n_rot / 2)? {
        rope.factors = Some(factors);
    }
    let heads = hp.heads(0)?;
    let embedding = Embedding::load(weights, hp)?;
    let n_vocab = embedding.table.rows();
    Ok(Arc::new(Eagle3 {
        shape: Shape {
            n_embd,
            n_vocab,
            n_ctx_train: hp.n_ctx_train,
            kv: vec![heads.kv()],
            caches: vec![],
            states: vec![],
            output: OutputKind::Logits,
        },
        fusion: Fusion {
            before: before.transpose()?,
            linear: weights.linear("fc", [n_features, n_embd])?,
            after: None,
        },
        token_norm: norm.load(w, "attn_norm", n_embd)?,
        feature_norm: norm.load(w, "attn_norm_2", n_embd)?,
        norm_before_residual: keys.opt_bool("norm_before_residual")?.unwrap_or(false),
        attention: Attention::with_input(w, [2 * n_embd, n_embd], heads)?
            .with_rope(&Arc::new(rope)),
        ffn_norm: norm.load(w, "ffn_norm", n_embd)?,
        ffn: Ffn::gated(w, n_embd, Activation::Silu)?,
        head: DraftHead::load(weights, n_embd, norm, &embedding.table)?,
        embedding,
    }))
}

impl Model for Eagle3 {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn fusion(&self) -> Option<&Fusion> {
        Some(&self.fusion)
    }

    fn feature_width(&self) -> usize {
        self.shape.n_embd
    }

    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        self.attention.prepare(cx);
        let embedded = self.embedding.forward(cx);
        let tokens = self.token_norm.forward(cx, embedded);
        let features = cx.features(self.shape.n_embd);
        let normed = self.feature_norm.forward(cx, features);
        let both = cx.concat(&[tokens, normed]);
        let x = self.attention.forward(cx, 0, both);
        let residual = if self.norm_before_residual { normed } else { features };
        cx.add_assign(x, residual);
        let x = cx.keep_outputs(x);
        let h = self.ffn_norm.forward(cx, x);
        let f = self.ffn.forward(cx, h);
        cx.add_assign(x, f);
        self.head.forward(cx, x)
    }
}

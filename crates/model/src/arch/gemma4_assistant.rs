//! The assistant of Gemma 4 (Google DeepMind 2026): a draft model without keys and values of its own,
//! which attends to those of its target's last layers.

use backend::{AttentionParams, Linear, Weight};

use super::prelude::*;
use crate::blocks::rope::Rope;
use crate::hparams::Heads;
use crate::{KvShape, OutputKind, Shape, TargetLayer};

struct Assistant {
    shape: Shape,
    n_target: usize,
    target_layers: Vec<TargetLayer>,
    /// Of the target's embedding and features to the width of this model.
    input: Linear,
    layers: Vec<AssistantLayer>,
    norm: Norm,
    output: Weight,
    /// To the features of the next position.
    next: Linear,
}

struct AssistantLayer {
    attn_norm: Norm,
    queries: Linear,
    q_norm: Norm,
    rope: Arc<Rope>,
    attention: AttentionParams,
    attn_output: Linear,
    attn_post_norm: Norm,
    ffn_norm: Norm,
    ffn: Ffn,
    ffn_post_norm: Norm,
    scale: f32,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights: w } = source;
    let norm = source.rms_norm()?;
    let n_target = keys.width("embedding_length_out")?;
    let window = keys.width("attention.sliding_window")?;
    if window < 2 {
        let (key, value) = ("attention.sliding_window".into(), window.to_string());
        return Err(Error::Value { key, value, expected: "at least 2".into() });
    }
    let slides = keys.sliding_layers(hp.n_layer, 1, false)?;
    let sliding_dim = keys.width("attention.key_length_swa")?;
    let heads = |il| {
        let heads = hp.heads(il)?;
        match slides[il] {
            true => Heads { head_dim: sliding_dim, head_dim_v: sliding_dim, ..heads }.check(),
            false => Ok(Heads { head_dim_v: heads.head_dim, ..heads }),
        }
    };
    let rope = Rope::load(keys, w, hp, RopeLayout::Neox)?;
    let sliding_rope = rope.unscaled_sliding(keys, 10_000.0)?.without_factors();
    let n_rot = keys.opt_width("rope.dimension_count_swa")?.unwrap_or(hp.n_rot);
    let sliding_rope =
        Rope { head_dim: sliding_dim, ..(*sliding_rope).clone() }.with_width(Some(n_rot))?;
    let rope = Arc::new(rope);
    let layer = |il: usize| {
        let w = &w.layer(il);
        let Heads { n_head, head_dim, .. } = heads(il)?;
        // A query stands one position after the last that it sees, which the window counts.
        let mask = if slides[il] { Mask::Sliding(window - 1) } else { Mask::Causal };
        Ok(AssistantLayer {
            attn_norm: norm.load(w, "attn_norm", hp.n_embd)?,
            queries: w.linear("attn_q", [hp.n_embd, n_head * head_dim])?,
            q_norm: norm.load(w, "attn_q_norm", head_dim)?,
            rope: if slides[il] { sliding_rope.clone() } else { rope.clone() },
            attention: AttentionParams { mask, ..AttentionParams::causal(n_head, 1.0) },
            attn_output: w.linear("attn_output", [n_head * head_dim, hp.n_embd])?,
            attn_post_norm: norm.load(w, "post_attention_norm", hp.n_embd)?,
            ffn_norm: norm.load(w, "ffn_norm", hp.n_embd)?,
            ffn: Ffn::gated(w, hp.n_embd, Activation::GeluTanh)?,
            ffn_post_norm: norm.load(w, "post_ffw_norm", hp.n_embd)?,
            scale: w.vector("layer_output_scale.weight", 1)?[0],
        })
    };
    let target_layer = |il: usize| {
        let window = slides[il].then_some(window);
        let kv = KvShape { window, ..heads(il)?.kv() };
        Ok(TargetLayer { from_last: usize::from(slides[il]), kv })
    };
    let output = w.table("token_embd.weight", hp.n_embd)?;
    Ok(Arc::new(Assistant {
        shape: Shape {
            n_embd: hp.n_embd,
            n_vocab: output.rows(),
            n_ctx_train: hp.n_ctx_train,
            kv: vec![],
            caches: vec![],
            states: vec![],
            output: OutputKind::Logits,
        },
        n_target,
        target_layers: (0..hp.n_layer).map(target_layer).collect::<Result<_, Error>>()?,
        input: w.linear("nextn.pre_projection", [2 * n_target, hp.n_embd])?,
        layers: (0..hp.n_layer).map(layer).collect::<Result<_, Error>>()?,
        norm: norm.load(w, "output_norm", hp.n_embd)?,
        output,
        next: w.linear("nextn.post_projection", [hp.n_embd, n_target])?,
    }))
}

impl AssistantLayer {
    fn forward(&self, cx: &mut Forward<'_>, from_last: usize, x: Tensor) {
        let h = self.attn_norm.forward(cx, x);
        let q = cx.linear1(h, &self.queries);
        let q = self.q_norm.forward(cx, q);
        let table = cx.next_rope_table(&self.rope);
        cx.rotate(q, &table);
        let a = cx.attend_from_last(from_last, q, &self.attention);
        let a = cx.linear1(a, &self.attn_output);
        let a = self.attn_post_norm.forward(cx, a);
        cx.add_assign(x, a);
        let h = self.ffn_norm.forward(cx, x);
        let f = self.ffn.forward(cx, h);
        let f = self.ffn_post_norm.forward(cx, f);
        cx.add_assign(x, f);
        cx.scale(x, self.scale);
    }
}

impl Model for Assistant {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn target_layers(&self) -> &[TargetLayer] {
        &self.target_layers
    }

    fn feature_width(&self) -> usize {
        self.n_target
    }

    /// Rows stand at the last position in memory; their tokens come after it. Features are the
    /// target's embedding of the token beside what it made of those before.
    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        let inputs = cx.features(2 * self.n_target);
        let x = cx.linear1(inputs, &self.input);
        let mark = cx.mark();
        for (layer, target) in self.layers.iter().zip(&self.target_layers) {
            layer.forward(cx, target.from_last, x);
            cx.release(mark);
        }
        let x = self.norm.forward(cx, x);
        cx.next_features = Some(cx.linear1(x, &self.next));
        cx.linear1(x, &Linear::plain(self.output.clone()))
    }
}

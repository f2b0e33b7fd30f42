//! Hierarchical reasoning model for text (Wang et al. 2025, arXiv:2506.21734): a fast stack of layers
//! runs several times for each run of a slow one, and both several times in all. Every run of a
//! layer has a memory of its own.

use backend::Vector;

use super::prelude::*;
use crate::blocks::head::{Embedding, Head};
use crate::{OutputKind, Shape};

struct Hrm {
    shape: Shape,
    embedding: Embedding,
    /// The fast state before the first run.
    start: Vector,
    fast: Stack,
    slow: Stack,
    slow_cycles: usize,
    fast_cycles: usize,
    head: Head,
}

/// Layers and the norm of their result.
struct Stack {
    layers: Vec<Layer>,
    norm: Norm,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let depth = keys.count("hrm.layers_per_stack")?;
    let [slow_cycles, fast_cycles] = [keys.count("hrm.h_cycles")?, keys.count("hrm.l_cycles")?];
    let n_runs = depth.saturating_mul(slow_cycles).saturating_mul(fast_cycles + 1);
    if hp.n_layer != n_runs {
        let (key, value) = ("block_count".into(), hp.n_layer.to_string());
        return Err(Error::Value { key, value, expected: format!("{n_runs}, one for each run") });
    }
    let layer = |il| {
        let w = &weights.layer(il);
        let attention = Attention::load(w, hp, il)?.with_rope(&rope);
        let attention = attention.with_gate(w, hp.n_embd, Activation::Sigmoid)?;
        let ffn = Ffn::gated(w, hp.n_embd, Activation::Silu)?;
        let norms = [norm.plain(), norm.plain()].map(Some);
        let [attn_norm, ffn_norm] = norms;
        Ok(Layer { attn_norm, ffn_norm, ..Layer::bare(attention, ffn) })
    };
    let stack = |first: usize| {
        let layers = (first..first + depth).map(layer).collect::<Result<Vec<_>, Error>>()?;
        Ok::<_, Error>(Stack { layers, norm: norm.plain() })
    };
    let (fast, slow) = (stack(0)?, stack(depth)?);
    let mut embedding = Embedding::load(weights, hp)?;
    embedding.scale = keys.opt_f32("embedding_scale")?.filter(|&s| s != 0.0).unwrap_or(1.0);
    let run = [&fast, &slow].map(|stack| stack.layers.iter().map(|layer| layer.kv()));
    let [of_fast, of_slow] = run.map(|kv| kv.collect::<Vec<_>>());
    let cycle = [of_fast.repeat(fast_cycles), of_slow].concat();
    Ok(Arc::new(Hrm {
        shape: Shape {
            n_embd: hp.n_embd,
            n_vocab: embedding.table.rows(),
            n_ctx_train: hp.n_ctx_train,
            kv: cycle.repeat(slow_cycles),
            caches: vec![],
            states: vec![],
            output: OutputKind::Logits,
        },
        start: weights.vector("hrm.z_l_init", hp.n_embd)?,
        head: Head::with_norm(weights, hp, norm.plain(), &embedding.table)?,
        embedding,
        fast,
        slow,
        slow_cycles,
        fast_cycles,
    }))
}

impl Stack {
    /// The stack's state for this input, with memories from `first` on.
    fn forward(&self, cx: &mut Forward<'_>, first: usize, x: Tensor) -> Tensor {
        for (il, layer) in (first..).zip(&self.layers) {
            layer.forward(cx, il, x, false);
        }
        self.norm.forward(cx, x)
    }
}

impl Model for Hrm {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        self.fast.layers.iter().for_each(|layer| layer.prepare(cx));
        let mut slow = self.embedding.forward(cx);
        let mut fast = cx.upload(&self.start.repeat(slow.rows()), self.shape.n_embd);
        let mut run = 0;
        let mut forward = |cx: &mut Forward<'_>, stack: &Stack, slow: Tensor, fast: Tensor| {
            let x = cx.concat(&[slow]);
            cx.add_assign(x, fast);
            run += stack.layers.len();
            stack.forward(cx, run - stack.layers.len(), x)
        };
        for _ in 0..self.slow_cycles {
            for _ in 0..self.fast_cycles {
                fast = forward(cx, &self.fast, slow, fast);
            }
            slow = forward(cx, &self.slow, slow, fast);
        }
        let x = cx.keep_outputs(slow);
        self.head.forward(cx, x)
    }
}

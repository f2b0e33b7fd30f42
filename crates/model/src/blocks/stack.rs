//! The layers of a model, one after the other on a residual stream.

use std::sync::Arc;

use backend::Tensor;

use crate::blocks::layer::Block;
use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::Hparams;
use crate::source::Source;
use crate::weights::Weights;
use crate::{OutputKind, Shape};

/// Layers of any kind.
pub struct Stack(Vec<Arc<dyn Block>>);

impl Stack {
    /// Loads each layer by `layer`, which takes its index and its tensors.
    pub fn load<B: Block + 'static>(
        source: &Source<'_>,
        mut layer: impl FnMut(usize, &Weights<'_>) -> Result<B, Error>,
    ) -> Result<Self, Error> {
        let Source { hp, weights: w, .. } = source;
        let mut load = |il| Ok::<Arc<dyn Block>, Error>(Arc::new(layer(il, &w.layer(il))?));
        Ok(Self((0..hp.n_layer).map(&mut load).collect::<Result<_, _>>()?))
    }

    /// The shape of a model of these layers that yields logits.
    pub fn shape(&self, hp: &Hparams, n_vocab: usize) -> Shape {
        let Self(layers) = self;
        Shape {
            n_embd: hp.n_embd,
            n_vocab,
            n_ctx_train: hp.n_ctx_train,
            kv: layers.iter().map(|layer| layer.kv()).collect(),
            caches: layers.iter().map(|layer| layer.caches()).collect(),
            states: layers.iter().map(|layer| layer.states()).collect(),
            output: OutputKind::Logits,
        }
    }

    /// The layers once more, `n` times in all, each time with a memory of their own; `between` comes
    /// after each time but the last.
    pub fn repeated(self, n: usize, between: impl Fn(Arc<dyn Block>) -> Arc<dyn Block>) -> Self {
        let Self(once) = self;
        let mut layers = Vec::with_capacity(n * once.len());
        for i in 0..n {
            layers.extend(once.iter().cloned());
            if let Some(last) = layers.pop() {
                layers.push(if i + 1 < n { between(last) } else { last });
            }
        }
        Self(layers)
    }

    /// Whether outputs for a row depend on that and earlier ones alone.
    pub fn is_causal(&self) -> bool {
        self.0.iter().all(|layer| layer.is_causal())
    }

    /// Makes what layers share.
    pub fn prepare(&self, cx: &mut Forward<'_>) {
        self.0.iter().for_each(|layer| layer.prepare(cx));
    }

    /// The stream after all layers, of the rows whose output is wanted.
    pub fn forward(&self, cx: &mut Forward<'_>, mut x: Tensor) -> Tensor {
        let mut mark = cx.mark();
        for (il, layer) in self.0.iter().enumerate() {
            let shared = cx.shared;
            let after = layer.forward(cx, il, x, il + 1 == self.0.len());
            // The stream stays where it is but in the last layer and in unusual ones, and so does
            // what a layer shares.
            if after == x && cx.shared == shared {
                cx.release(mark);
            } else {
                (x, mark) = (after, cx.mark());
            }
        }
        x
    }
}

//! The decoder that most architectures are: an embedding, layers on a residual stream, a head.

use std::sync::Arc;

use backend::Tensor;

use crate::blocks::head::{Embedding, Head};
use crate::blocks::layer::Block;
use crate::blocks::norm::{Norm, NormKind};
use crate::blocks::pooling::{Pooler, Pooling};
use crate::error::Error;
use crate::forward::Forward;
use crate::source::Source;
use crate::weights::Weights;
use crate::{Model, OutputKind, Shape};

/// A decoder of any layers.
pub struct Decoder {
    shape: Shape,
    /// Tokens to the residual stream.
    pub embedding: Embedding,
    layers: Vec<Arc<dyn Block>>,
    /// The residual stream to logits.
    pub head: Head,
    pooler: Option<Pooler>,
}

impl Decoder {
    /// Loads the ends, with `norm` as the last norm, and each layer by `layer`, which takes its
    /// index and its tensors.
    pub fn load<B: Block + 'static>(
        source: &Source<'_>,
        norm: NormKind,
        layer: impl FnMut(usize, &Weights<'_>) -> Result<B, Error>,
    ) -> Result<Self, Error> {
        let last = norm.load(&source.weights, "output_norm", source.hp.n_embd)?;
        Self::with_last_norm(source, last, layer)
    }

    /// The same with this as the last norm, if any.
    pub fn with_last_norm<B: Block + 'static>(
        source: &Source<'_>,
        last: impl Into<Option<Norm>>,
        mut layer: impl FnMut(usize, &Weights<'_>) -> Result<B, Error>,
    ) -> Result<Self, Error> {
        let Source { hp, weights: w, .. } = source;
        let mut load = |il| Ok::<Arc<dyn Block>, Error>(Arc::new(layer(il, &w.layer(il))?));
        let layers = (0..hp.n_layer).map(&mut load).collect::<Result<Vec<_>, _>>()?;
        let embedding = Embedding::load(w, hp)?;
        let shape = Shape {
            n_embd: hp.n_embd,
            n_vocab: embedding.table.rows(),
            n_ctx_train: hp.n_ctx_train,
            kv: layers.iter().map(|layer| layer.kv()).collect(),
            caches: layers.iter().map(|layer| layer.caches()).collect(),
            states: layers.iter().map(|layer| layer.states()).collect(),
            output: OutputKind::Logits,
        };
        let head = Head::with_norm(w, hp, last, &embedding.table)?;
        Ok(Self { shape, embedding, layers, head, pooler: None })
    }

    /// Yields embeddings instead of logits, and pools them so.
    pub fn with_pooler(mut self, pooler: Pooler) -> Self {
        self.head.output = None;
        self.shape.output = OutputKind::Embeddings(pooler.kind);
        Self { pooler: Some(pooler), ..self }
    }

    /// The layers once more, `n` times in all, each time with a memory of their own; `between` comes
    /// after each time but the last.
    pub fn repeated(
        mut self,
        n: usize,
        between: impl Fn(Arc<dyn Block>) -> Arc<dyn Block>,
    ) -> Self {
        let once = std::mem::take(&mut self.layers);
        for i in 0..n {
            self.layers.extend(once.iter().cloned());
            if let Some(last) = self.layers.pop() {
                self.layers.push(if i + 1 < n { between(last) } else { last });
            }
        }
        self.shape.kv = self.layers.iter().map(|layer| layer.kv()).collect();
        self.shape.caches = self.layers.iter().map(|layer| layer.caches()).collect();
        self.shape.states = self.layers.iter().map(|layer| layer.states()).collect();
        self
    }
}

impl Model for Decoder {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn is_causal(&self) -> bool {
        self.layers.iter().all(|layer| layer.is_causal())
    }

    fn pool(
        &self,
        cx: &mut Forward<'_>,
        x: Tensor,
        pooling: Option<Pooling>,
    ) -> Result<Tensor, Error> {
        self.pooler.as_ref().map_or(Ok(x), |pooler| pooler.forward(cx, x, pooling))
    }

    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        self.layers.iter().for_each(|layer| layer.prepare(cx));
        let mut x = self.embedding.forward(cx);
        let mut mark = cx.mark();
        for (il, layer) in self.layers.iter().enumerate() {
            let shared = cx.shared;
            let after = layer.forward(cx, il, x, il + 1 == self.layers.len());
            // The stream stays where it is but in the last layer and in unusual ones, and so does
            // what a layer shares.
            if after == x && cx.shared == shared {
                cx.release(mark);
            } else {
                (x, mark) = (after, cx.mark());
            }
        }
        self.head.forward(cx, x)
    }
}

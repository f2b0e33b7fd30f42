//! The decoder that most architectures are: an embedding, layers on a residual stream, a head.

use std::sync::Arc;

use backend::Tensor;

use crate::blocks::head::{Embedding, Head};
use crate::blocks::layer::Block;
use crate::blocks::norm::{Norm, NormKind};
use crate::blocks::pooling::Pooler;
use crate::blocks::stack::Stack;
use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::Hparams;
use crate::source::Source;
use crate::weights::Weights;
use crate::{Model, OutputKind, Shape};

/// A decoder of any layers.
pub struct Decoder {
    shape: Shape,
    /// Tokens to the residual stream.
    pub embedding: Embedding,
    layers: Stack,
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
        layer: impl FnMut(usize, &Weights<'_>) -> Result<B, Error>,
    ) -> Result<Self, Error> {
        let Source { hp, weights: w, .. } = source;
        let layers = Stack::load(source, layer)?;
        let embedding = Embedding::load(w, hp)?;
        let shape = layers.shape(hp, embedding.table.rows());
        let head = Head::with_norm(w, hp, last, &embedding.table)?;
        Ok(Self { shape, embedding, layers, head, pooler: None })
    }

    /// Yields embeddings instead of logits, and pools them so.
    pub fn with_pooler(mut self, pooler: Pooler) -> Self {
        self.head.output = None;
        self.shape.output = OutputKind::Embeddings(pooler.kind);
        Self { pooler: Some(pooler), ..self }
    }

    /// With its layers [repeated](Stack::repeated).
    pub fn repeated(
        self,
        hp: &Hparams,
        n: usize,
        between: impl Fn(Arc<dyn Block>) -> Arc<dyn Block>,
    ) -> Self {
        let layers = self.layers.repeated(n, between);
        let shape = layers.shape(hp, self.shape.n_vocab);
        Self { shape: Shape { output: self.shape.output, ..shape }, layers, ..self }
    }
}

impl Model for Decoder {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn is_causal(&self) -> bool {
        self.layers.is_causal()
    }

    fn pooler(&self) -> Option<&Pooler> {
        self.pooler.as_ref()
    }

    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        self.layers.prepare(cx);
        let x = self.embedding.forward(cx);
        let x = self.layers.forward(cx, x);
        self.head.forward(cx, x)
    }
}

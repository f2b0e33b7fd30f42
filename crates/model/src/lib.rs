//! Model architectures over the [`backend`] interface.
//!
//! An architecture is one small file under `arch/` that reads like its paper: it loads weights by
//! name into blocks (`blocks/`) and its forward pass is straight-line code over named operations.
//! [`Context`] runs a model: it owns the backend and the memory of the positions already seen.
#![forbid(unsafe_code)]

mod arch;
mod blocks;
mod context;
mod error;
mod forward;
mod hparams;
mod memory;
mod source;
mod weights;

pub use arch::{load, supported};
pub use blocks::draft::Fusion;
pub use blocks::head::Embedding;
pub use blocks::pooling::{Pooler, Pooling, Reduction};
pub use context::{Context, Drafted, Outputs, Part};
pub use error::Error;
pub use forward::{Forward, Spans};
pub use memory::{CacheShape, Capacity, KvShape, Memory, Sequence, n_slots};

use backend::Tensor;

/// What a model's forward pass yields for each row asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// One logit per vocabulary entry.
    Logits,
    /// An embedding of `n_embd` values; those of a text may be pooled.
    Embeddings(Pooling),
}

/// The sizes of a model that its users need.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Rows of the token embedding: ids below this are valid input.
    pub n_vocab: usize,
    /// Context length that the model was trained with.
    pub n_ctx_train: usize,
    /// Keys and values that each layer stores.
    pub kv: Vec<KvShape>,
    /// What else each layer caches of positions.
    pub caches: Vec<Vec<CacheShape>>,
    /// Sizes of each layer's recurrent states, in values.
    pub states: Vec<Vec<usize>>,
    /// What the forward pass yields.
    pub output: OutputKind,
}

impl Shape {
    /// Values per output row.
    pub fn output_width(&self) -> usize {
        match self.output {
            OutputKind::Logits => self.n_vocab,
            OutputKind::Embeddings(_) => self.n_embd,
        }
    }

    /// How the embeddings of a text's tokens are pooled: as the file says; models that generate text,
    /// whose files don't say, take the mean.
    pub fn pooling(&self) -> Pooling {
        match self.output {
            OutputKind::Embeddings(pooling) => pooling,
            OutputKind::Logits => Pooling::Mean,
        }
    }
}

/// A layer of a target model whose keys and values a draft model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetLayer {
    /// Of the layers with keys and values, how far from the last.
    pub from_last: usize,
    /// What it must store.
    pub kv: KvShape,
}

/// A loaded model: weights and the forward pass over them.
pub trait Model: Send + Sync {
    /// Its sizes.
    fn shape(&self) -> &Shape;

    /// Values that tokens may come with besides their ids, see [`Context::decode_with`].
    fn feature_width(&self) -> usize {
        0
    }

    /// How a draft model reads its target's features.
    fn fusion(&self) -> Option<&Fusion> {
        None
    }

    /// The layers whose keys and values a draft model without memory of its own reads, one for each
    /// layer that it has; see [`Context::draft`].
    fn target_layers(&self) -> &[TargetLayer] {
        &[]
    }

    /// The first step, for draft models that share it.
    fn token_embedding(&self) -> Option<&Embedding> {
        None
    }

    /// Whether the output for a position depends on that and earlier ones alone. Else a batch must
    /// have all of a sequence.
    fn is_causal(&self) -> bool {
        true
    }

    /// Evaluates the batch in `cx` and returns one row per output asked for,
    /// `[outputs][Shape::output_width]`.
    fn forward(&self, cx: &mut Forward<'_>) -> Tensor;

    /// The part that reads a text before the model answers to it, which leaves what the model attends
    /// to in a memory of its own.
    fn encoder(&self) -> Option<&dyn Model> {
        None
    }

    /// The token that an answer begins with, where the file says so and there is an encoder.
    fn answer_start(&self) -> Option<u32> {
        None
    }

    /// How the embeddings of a text's tokens become what stands for it, where more is to be done than
    /// to choose some or take their mean.
    fn pooler(&self) -> Option<&Pooler> {
        None
    }
}

//! Why a model can't be loaded or run.

use backend::{BackendError, WeightError};
use thiserror::Error;

/// Why a model can't be loaded or run.
#[derive(Debug, Error)]
pub enum Error {
    /// No code for this architecture.
    #[error("unknown model architecture '{name}'{}", nearest.map(|n| format!(" (nearest known: '{n}')")).unwrap_or_default())]
    UnknownArchitecture {
        /// `general.architecture` of the file.
        name: String,
        /// The known name most like it, if one is.
        nearest: Option<&'static str>,
    },
    /// The file's metadata is damaged or incomplete.
    #[error(transparent)]
    File(#[from] gguf::Error),
    /// A metadata value makes no sense.
    #[error("{key}: {value} is out of range; expected {expected}")]
    Value {
        /// Metadata key.
        key: String,
        /// What the file says.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// A tensor that the architecture needs is not in the file.
    #[error("tensor {name} is missing")]
    MissingTensor {
        /// Its name.
        name: String,
    },
    /// A tensor has another shape than the metadata implies.
    #[error("tensor {name} has shape {found:?}; expected {expected:?}")]
    TensorShape {
        /// Its name.
        name: String,
        /// Shape in the file, contiguous dimension first.
        found: Vec<usize>,
        /// Shape that the metadata implies.
        expected: Vec<usize>,
    },
    /// A tensor's bytes can't serve as a weight.
    #[error(transparent)]
    Weight(#[from] WeightError),
    /// The backend can't serve.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// More positions than memory was made for.
    #[error("{needed} positions don't fit the context of {n_ctx}; use a larger one (-c)")]
    ContextFull {
        /// Positions with the batch.
        needed: usize,
        /// Positions there is memory for.
        n_ctx: usize,
    },
    /// No memory is free for more positions of a sequence, as others use it.
    #[error(
        "there is no memory left for {needed} positions of a sequence; use more (-c), or fewer sequences at once (-np)"
    )]
    MemoryFull {
        /// Positions of the sequence with the batch.
        needed: usize,
    },
    /// A token id outside the vocabulary.
    #[error("token {id} is outside the model's vocabulary of {n_vocab}")]
    Token {
        /// The id.
        id: u32,
        /// Size of the vocabulary.
        n_vocab: usize,
    },
    /// Features that don't fit the model.
    #[error("{n} values of features for {rows} rows; the model takes {width} for each")]
    Features {
        /// Values given.
        n: usize,
        /// Rows that they are for.
        rows: usize,
        /// Values that the model takes for each; 0 for models without features.
        width: usize,
    },
    /// Another attention than the model's, where it can't be had.
    #[error("the model's attention can't be made another")]
    FixedAttention,
    /// A draft model that reads its target's memory, without one.
    #[error("the draft model has no memory of its own and can't run without its target")]
    NeedsTarget,
    /// A draft model for another target, or none.
    #[error("the model doesn't draft for this target: {0}")]
    OtherTarget(&'static str),
    /// A second batch of a sequence, for a model whose positions see later ones too.
    #[error(
        "each position sees the whole text, so that it must come in one batch; {len} tokens came before"
    )]
    NotCausal {
        /// Positions that the sequence has.
        len: usize,
    },
    /// An answer to no text, of a model with an encoder.
    #[error("the model answers to a text, but its encoder has read none")]
    NothingEncoded,
    /// A text for an encoder that the model doesn't have.
    #[error("the model has no encoder")]
    NoEncoder,
    /// Scores asked of a model that only embeds.
    #[error("the model has no classifier to rank with")]
    NoClassifier,
    /// Embeddings asked of a model whose logits are made from something else.
    #[error("the model has no embeddings of texts")]
    NoEmbeddings,
    /// Nothing to embed.
    #[error("a text without tokens has no embedding")]
    EmptyText,
    /// The model produced NaN or infinity.
    #[error(
        "the model produced NaN or infinite values; the file's weights are damaged or overflow"
    )]
    NotFinite,
}

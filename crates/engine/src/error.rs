//! Why generation is impossible.

use std::sync::Arc;

use thiserror::Error;

/// Why generation is impossible.
#[derive(Debug, Error)]
pub enum Error {
    /// The file is not a valid model file.
    #[error(transparent)]
    File(#[from] gguf::Error),
    /// The model can't be loaded or run.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// The vocabulary can't be used.
    #[error(transparent)]
    Tokenizer(#[from] tokenizer::Error),
    /// The chat template can't be used.
    #[error(transparent)]
    Template(#[from] chat::Error),
    /// Threads can't run where they shall.
    #[error(transparent)]
    Placement(#[from] cpu::topology::PlacementError),
    /// No token can be chosen.
    #[error(transparent)]
    Sample(#[from] sample::SampleError),
    /// Text can't be held to a grammar.
    #[error(transparent)]
    Grammar(#[from] grammar::Error),
    /// More vocabulary entries than embeddings.
    #[error("the vocabulary has {tokens} tokens, but the model embeds only {rows}")]
    Vocabulary {
        /// Entries of the vocabulary.
        tokens: usize,
        /// Rows of the token embedding.
        rows: usize,
    },
    /// A model that embeds text instead of continuing it.
    #[error("'{architecture}' models make embeddings and can't generate text")]
    NotGenerative {
        /// The architecture.
        architecture: String,
    },
    /// A model that continues text instead of embedding it.
    #[error("'{architecture}' models generate text and can't embed it")]
    NotEmbedding {
        /// The architecture.
        architecture: String,
    },
    /// A model that generates token by token, or a file that doesn't say what a mask is.
    #[error("the model has no masks to fill in")]
    NoMasks,
    /// No logits to draw a token from.
    #[error("the model gave no token a chance")]
    NoToken,
    /// A draft model of another vocabulary.
    #[error("the draft model can't help the other one: {0}")]
    OtherVocabulary(String),
    /// A context of no positions.
    #[error("a context needs at least one position")]
    EmptyContext,
    /// The prompt leaves no room for an answer.
    #[error("the prompt has {tokens} tokens, but the context holds {n_ctx}")]
    PromptTooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Positions of the context.
        n_ctx: usize,
    },
    /// The batch that a request was part of can't be evaluated.
    #[error(transparent)]
    Batch(Arc<Error>),
    /// More requests wait than the queue has room for.
    #[error("{waiting} requests wait already; try again later")]
    Busy {
        /// Requests that wait.
        waiting: usize,
    },
    /// No thread can be started.
    #[error("no thread can be started for the engine: {0}")]
    Thread(#[source] std::io::Error),
    /// The engine takes no requests any more.
    #[error("the engine has stopped")]
    Stopped,
    /// Nothing to continue from.
    #[error("there is no prompt to continue")]
    EmptyPrompt,
}

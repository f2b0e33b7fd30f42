//! How well a model predicts a text, computed as llama.cpp's `llama-perplexity` does.
//!
//! A text is cut into chunks of a context's length. A chunk is a sequence of its own that begins with
//! the token for that, if the model wants one; its second half is scored. Results depend neither on
//! how many chunks are evaluated at once nor on the number of threads, but for the last bits.

mod chunks;
mod divergence;
mod evaluator;
mod logits_file;
mod page;
mod stats;
mod tasks;
mod text;

use std::path::{Path, PathBuf};

use thiserror::Error;

pub use chunks::{ChunkScore, Perplexity, perplexity, perplexity_strided, save_logits};
pub use divergence::{Divergence, divergence};
pub use evaluator::{Evaluator, Options};
pub use logits_file::{LogitsReader, LogitsWriter};
pub use stats::Estimate;
pub use tasks::{Kind, Score, Task, TaskError, evaluate, read_tasks};
pub use text::OutputType;

/// Why a text can't be evaluated.
#[derive(Debug, Error)]
pub enum Error {
    /// The model can't be read, loaded or run.
    #[error(transparent)]
    Tool(#[from] crate::Error),
    /// The model has no tokenizer.
    #[error("{}: {error}", path.display())]
    Tokenizer {
        /// The model file.
        path: PathBuf,
        /// Why.
        error: tokenizer::Error,
    },
    /// The text is too short.
    #[error("the text has {tokens} tokens; expected at least {needed}")]
    TooShort {
        /// Tokens of the text.
        tokens: usize,
        /// As many as are needed.
        needed: usize,
    },
    /// The context is too short to score anything.
    #[error("a context of {n_ctx} tokens has none to score; expected at least 4")]
    ShortContext {
        /// Its length.
        n_ctx: usize,
    },
    /// The file of logits can't be read or written.
    #[error("{}: {error}", path.display())]
    LogitsFile {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file of logits is none, or of another model.
    #[error("{}: {problem}", path.display())]
    Logits {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A model gave logits that are not finite.
    #[error("the model's output has NaN or infinity at token {position} of chunk {chunk}")]
    NotFinite {
        /// The chunk, counted from 1.
        chunk: usize,
        /// The token in it.
        position: usize,
    },
    /// A task does not fit the context.
    #[error("task {task} needs a context of {needed} tokens, but there are {n_ctx}")]
    LongTask {
        /// The task, counted from 1.
        task: usize,
        /// Tokens of all its answers.
        needed: usize,
        /// Tokens of the context.
        n_ctx: usize,
    },
    /// A file of tasks is damaged.
    #[error(transparent)]
    Tasks(#[from] TaskError),
}

impl Error {
    fn model(path: &Path, error: model::Error) -> Self {
        crate::Error::Model { path: path.to_owned(), error }.into()
    }
}

//! Why a model can't be converted.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::quantize;

/// Why a model can't be converted.
#[derive(Debug, Error)]
pub enum Error {
    /// A file of the model can't be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// A file of the model is not what it should be.
    #[error("{}: {what}; expected {expected}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is there.
        what: String,
        /// What would be right.
        expected: String,
    },
    /// The architecture is none that can be converted.
    #[error("{}: architecture '{found}'; expected one of {known}", path.display())]
    Architecture {
        /// The file.
        path: PathBuf,
        /// What it names.
        found: String,
        /// Those that can be.
        known: String,
    },
    /// Text is cut into words in a way that has no name yet.
    #[error("{}: unknown pre-tokenizer {found}; expected that of a known model", path.display())]
    PreTokenizer {
        /// The file.
        path: PathBuf,
        /// Its expressions.
        found: String,
    },
    /// The name of a pre-tokenizer that was given is none.
    #[error("there is no pre-tokenizer '{name}'; expected one of {known}")]
    PreTokenizerName {
        /// What was given.
        name: String,
        /// All names.
        known: String,
    },
    /// The model file can't be composed.
    #[error(transparent)]
    Compose(#[from] gguf::Error),
    /// Weights can't be encoded, or the model file not be written.
    #[error(transparent)]
    Encode(Box<quantize::Error>),
}

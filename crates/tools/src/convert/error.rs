//! Why a model can't be converted.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

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
    /// The model file can't be composed.
    #[error(transparent)]
    Compose(#[from] gguf::Error),
    /// The model file can't be written.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
}

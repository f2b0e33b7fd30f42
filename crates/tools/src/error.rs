//! Why a model or machine can't be measured, or a model not be written.

use std::io;
use std::path::PathBuf;

use quant::TensorType;
use thiserror::Error;

/// Why a model or machine can't be measured, or a model not be written.
#[derive(Debug, Error)]
pub enum Error {
    /// The model file can't be read, or not be composed.
    #[error(transparent)]
    File(#[from] gguf::Error),
    /// The model can't be loaded or run.
    #[error("{}: {error}", path.display())]
    Model {
        /// The model file.
        path: PathBuf,
        /// What is wrong with it.
        error: model::Error,
    },
    /// The memory of a model can't be planned.
    #[error(transparent)]
    Plan(Box<engine::Error>),
    /// Embedding models answer whole texts; there is no prompt or generation to time.
    #[error("{}: the model makes embeddings; expected one that generates text", path.display())]
    NotGenerative {
        /// The model file.
        path: PathBuf,
    },
    /// The instruction set asked for in the environment can't be used.
    #[error("{0}")]
    Isa(String),
    /// Kernels that the environment disables are none.
    #[error("{0}")]
    Kernels(String),
    /// Threads can't run where they shall.
    #[error(transparent)]
    Placement(#[from] cpu::topology::PlacementError),
    /// Weights of this type can be read only.
    #[error("weights of type {0} can't be written; expected another recipe or shape")]
    NoEncoder(TensorType),
    /// A split model would have more files than the format can count.
    #[error("the model would be split into {count} files; expected at most {limit}")]
    TooManyFiles {
        /// Files there would be.
        count: usize,
        /// Most there can be.
        limit: usize,
    },
    /// A file can't be written.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
}

crate::output::failure!(Error);

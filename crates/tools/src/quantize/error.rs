//! Why a model can't be quantised.

use std::io;
use std::path::PathBuf;

use quant::TensorType;
use thiserror::Error;

/// Why a model can't be quantised.
#[derive(Debug, Error)]
pub enum Error {
    /// The model file can't be read or not be composed.
    #[error(transparent)]
    File(#[from] gguf::Error),
    /// The folder is no model that can be converted.
    #[error(transparent)]
    Folder(crate::convert::Error),
    /// The output is a file of the input.
    #[error("{} is the model itself; expected another file to write", path.display())]
    SameFile {
        /// The file.
        path: PathBuf,
    },
    /// A tensor's data can't be read.
    #[error("cannot read {} for tensor {tensor}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The system's reason.
        error: io::Error,
    },
    /// A file can't be written.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// The weights are quantised already.
    #[error("tensor {tensor} is {ty} already, which is not as exact as 16 or 32 bits")]
    Requantise {
        /// The tensor.
        tensor: String,
        /// Its type.
        ty: TensorType,
    },
    /// A type can't be converted to another.
    #[error("tensor {tensor} is {from} and can't become {to}")]
    Convert {
        /// The tensor.
        tensor: String,
        /// Its type.
        from: TensorType,
        /// The type asked for.
        to: TensorType,
    },
    /// Rows are not whole blocks of the type, and none stands in for it.
    #[error("tensor {tensor}: rows of {cols} values are not whole blocks of {ty}")]
    Row {
        /// The tensor.
        tensor: String,
        /// Values per row.
        cols: usize,
        /// The type asked for.
        ty: TensorType,
    },
    /// Weights that are no numbers.
    #[error("tensor {tensor} has a weight that is {value}; expected finite numbers")]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// NaN or an infinity.
        value: f32,
    },
    /// Weights beyond the range of the type.
    #[error("tensor {tensor} has weights up to {largest}, too large for {ty}")]
    TooLarge {
        /// The tensor.
        tensor: String,
        /// The largest magnitude of a part of it.
        largest: f32,
        /// The type asked for.
        ty: TensorType,
    },
    /// The type is useless without an importance matrix, or without this tensor in it.
    #[error("tensor {tensor} as {ty} needs an importance matrix, and there is none for it")]
    NeedsImportance {
        /// The tensor.
        tensor: String,
        /// The type it would get.
        ty: TensorType,
    },
    /// The importance matrix is of another model.
    #[error("the importance matrix has {found} values for tensor {tensor}; expected {expected}")]
    Importance {
        /// The tensor.
        tensor: String,
        /// Values in the file.
        found: usize,
        /// Columns times experts.
        expected: usize,
    },
    /// The importance matrix has NaN or infinite values.
    #[error("the importance matrix has the value {value} for tensor {tensor}")]
    ImportanceValue {
        /// The tensor.
        tensor: String,
        /// NaN or an infinity.
        value: f32,
    },
}

crate::output::failure!(Error);

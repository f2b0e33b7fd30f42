//! Why a file was refused.

use std::io;
use std::path::{Path, PathBuf};

use quant::{TensorType, TypeError};
use thiserror::Error;

use crate::{FileKind, ValueType};

/// Why a GGUF file can't be read or written; each message names the key, tensor or file.
#[derive(Debug, Error)]
#[non_exhaustive]
#[allow(missing_docs)] // The messages tell what each field is.
pub enum Error {
    #[error("can't open {}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{} is a directory; name a .gguf file in it", path.display())]
    Directory { path: PathBuf },
    /// Any other error, with the file it was found in.
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: Box<Error> },

    #[error("the file is empty; download it again")]
    Empty,
    #[error("not a GGUF file: {kind}")]
    NotGguf { kind: FileKind },
    #[error(
        "a model in the format \"{magic}\", the predecessor of GGUF; download a GGUF version of \
         the model or convert it with llama.cpp's convert_llama_ggml_to_gguf.py"
    )]
    OldFormat { magic: &'static str },
    #[error(
        "a big-endian GGUF file, which can't be read here; download the usual little-endian \
         version or convert it with llama.cpp's gguf_convert_endian.py"
    )]
    BigEndian,
    #[error("GGUF version {found} is not supported (1 to 3 are); update this program")]
    Version { found: u32 },
    #[error(
        "the header ends within {what}: {need} bytes expected, {left} left; the file is \
         incomplete or damaged, download it again"
    )]
    TruncatedHeader { what: String, need: u64, left: u64 },
    #[error(
        "the header claims {count} {what}, at most {limit} are possible; the file is incomplete or \
         damaged, download it again"
    )]
    Count { what: &'static str, count: u64, limit: u64 },

    #[error("metadata key number {index} {problem}")]
    Key { index: u64, problem: &'static str },
    #[error("metadata key {key} occurs twice; the file is damaged")]
    DuplicateKey { key: String },
    #[error("metadata key {key}: unknown value type {id}; the file is damaged or too new")]
    ValueType { key: String, id: u32 },
    #[error("metadata key {key}: arrays are nested more than {limit} deep")]
    Nesting { key: String, limit: usize },

    #[error("metadata key {key} is missing; the model needs it, convert it again")]
    MissingKey { key: String },
    #[error("metadata key {key}: expected {expected}, found {found}")]
    WrongType { key: String, expected: &'static str, found: String },
    #[error("metadata key {key}: {value} is not within the range of {expected}")]
    OutOfRange { key: String, value: i128, expected: &'static str },
    #[error("metadata key {key}: the string is not valid UTF-8")]
    NotUtf8 { key: String },
    #[error("general.alignment must be a power of two of at most {limit}, found {found}")]
    Alignment { found: i64, limit: usize },

    #[error("tensor number {index} {problem}")]
    TensorName { index: u64, problem: &'static str },
    #[error("tensor {tensor} occurs twice; the file is damaged")]
    DuplicateTensor { tensor: String },
    #[error("tensor {tensor}: {error}")]
    TensorType { tensor: String, error: TypeError },
    #[error("tensor {tensor}: {dims} dimensions, 1 to 4 are possible")]
    Dimensions { tensor: String, dims: u32 },
    #[error("tensor {tensor}: dimension {dim} is zero")]
    ZeroDimension { tensor: String, dim: usize },
    #[error("tensor {tensor}: shape {shape:?} is too large for this machine")]
    TooLarge { tensor: String, shape: Vec<u64> },
    #[error("tensor {tensor}: rows of {cols} values are not whole blocks of {ty} ({block} values)")]
    Row { tensor: String, ty: TensorType, cols: usize, block: usize },
    #[error("tensor {tensor}: its data begins at {offset}, not a multiple of {alignment}")]
    Misaligned { tensor: String, offset: u64, alignment: u64 },
    #[error(
        "the data of tensor {tensor} ends {missing} bytes after the end of the file, which has \
         {size}; the file is incomplete, download it again"
    )]
    TruncatedData { tensor: String, missing: u64, size: u64 },

    #[error(
        "shard {no} of {count} of a split model, but the file is not named \
         NAME-{no:05}-of-{count:05}.gguf; give the shards their original names"
    )]
    ShardName { no: u32, count: u32 },
    #[error(
        "shard {no} of {count} can't be opened, {}: {error}; all shards must lie in one folder",
        path.display()
    )]
    ShardMissing { path: PathBuf, no: u32, count: u32, error: io::Error },
    #[error("{key} is {found}, but {expected} was expected; the shards don't belong together")]
    Shard { key: &'static str, expected: u64, found: u64 },
    #[error("one of {count} shards of a split model; open it by its path")]
    SplitInMemory { count: u32 },

    #[error("can't write the file: {0}")]
    Write(#[from] io::Error),
    #[error("metadata key {key}: an array of {expected} can't hold a value of type {found}")]
    MixedArray { key: String, expected: ValueType, found: ValueType },
    #[error("tensor {tensor}: {expected} bytes of data expected, {written} written")]
    DataSize { tensor: String, expected: u64, written: u64 },
}

impl Error {
    /// The same error, naming the file that it was found in.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Io { .. }
            | Self::Directory { .. }
            | Self::File { .. }
            | Self::ShardMissing { .. } => self,
            error => Self::File { path: path.to_owned(), error: Box::new(error) },
        }
    }
}

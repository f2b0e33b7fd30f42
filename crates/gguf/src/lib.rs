//! The GGUF container: reading, validating and writing.
//!
//! A file is magic, version, counts, metadata (typed key-value pairs), tensor descriptions,
//! padding, then tensor data. [`Gguf`] maps a file, or all shards of a split model, and proves
//! every length and range once: what it hands out can't fail on bounds later. [`Header`] reads
//! everything but the data, and [`Writer`] streams a version-3 file.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>; versions 1 to 3,
//! little-endian.

#![deny(unsafe_code)]

mod cursor;
mod error;
mod header;
mod kind;
mod location;
mod metadata;
mod mmap;
mod model;
mod tensor;
mod value;
mod writer;

pub use error::Error;
pub use header::Header;
pub use kind::FileKind;
pub use location::Location;
pub use metadata::Metadata;
pub use mmap::{map, map_part};
pub use model::Gguf;
pub use tensor::TensorInfo;
pub use value::{Array, ArrayIter, StringBytes, Strings, Value, ValueType};
pub use writer::Writer;

//! GGUF tensor types: one table of all types, and one file per family with its block layout,
//! decoder and encoder.
//!
//! A tensor type packs `block_len` consecutive values of a row into `block_bytes` bytes. Rows are
//! whole numbers of blocks. Decoders are exact: they yield the same `f32` bits as the reference
//! definition of the format.

mod types;

pub use types::{Decode, Encode, TensorType, TypeError, TypeInfo};

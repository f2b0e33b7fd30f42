//! GGUF tensor types: one table of all types, and one file per family with its block layout,
//! decoder and encoder.
//!
//! A tensor type packs `block_len` consecutive values of a row into `block_bytes` bytes. Rows are
//! whole numbers of blocks. Decoders are exact: they yield the same `f32` bits as the reference
//! definition of the format.

#![forbid(unsafe_code)]

mod block;
pub mod codebook;
mod float;
mod fp4;
mod iq;
mod iq1;
mod iq4;
mod k;
mod lanes;
mod lattice;
mod legacy;
mod search;
mod ternary;
mod types;

pub use float::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
pub use fp4::half_of_e8m0;
pub use types::{Decode, Encode, TensorType, TypeError, TypeInfo};

//! Text to token ids and back, as the model file prescribes.
//!
//! [`Tokenizer`] reads the `tokenizer.*` keys of a GGUF file and gives the ids
//! llama.cpp gives. Two families are known: byte-level BPE
//! (`tokenizer.ggml.model` = `gpt2`) and SentencePiece with scores (`llama`).
#![forbid(unsafe_code)]

mod bpe;
mod byte_chars;
mod decoder;
mod error;
mod merges;
mod parts;
mod piece;
mod pre;
mod special;
mod special_text;
mod spm;
mod text_table;
mod tokenizer;
mod unicode;
mod vocab;

pub use decoder::Decoder;
pub use error::Error;
pub use parts::Parts;
pub use special::SpecialIds;
pub use tokenizer::Tokenizer;

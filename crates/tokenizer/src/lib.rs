//! Text to token ids and back, as the model file prescribes.
//!
//! [`Tokenizer`] reads the `tokenizer.*` keys of a GGUF file and gives the ids
//! llama.cpp gives. `tokenizer.ggml.model` names the family: BPE over bytes or
//! characters (`gpt2`, `gemma4`, `hybriddna`, `whitespace`), SentencePiece with
//! scores (`llama`), WordPiece (`bert`), Unigram (`t5`), `rwkv` and `plamo2`.
#![forbid(unsafe_code)]

mod bpe;
mod byte_chars;
mod charsmap;
mod decoder;
mod detokenize;
mod dna;
mod error;
mod merges;
mod neighbours;
mod parts;
mod piece;
mod plamo2;
mod pre;
mod rwkv;
mod special;
mod special_text;
mod spm;
mod text_table;
mod tokenizer;
mod trie;
mod unicode;
mod unigram;
mod vocab;
mod wordpiece;

pub use decoder::Decoder;
pub use error::Error;
pub use parts::Parts;
pub use special::SpecialIds;
pub use tokenizer::Tokenizer;

/// The names that `tokenizer.ggml.pre` may have.
pub fn pre_tokenizers() -> impl Iterator<Item = &'static str> + Clone {
    pre::names()
}

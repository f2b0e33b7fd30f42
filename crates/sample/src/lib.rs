//! Choosing the next token from logits.
//!
//! A [`Sampler`] runs a chain of samplers over the logits of one position, in
//! the order that [`Params::samplers`] gives; llama.cpp's unless another is
//! asked for. Each sampler is a file of its own that works on the candidates
//! left over by those before it, and documents its formula.
#![forbid(unsafe_code)]

mod adaptive_p;
mod candidates;
mod chain;
mod cut;
mod draw;
mod dry;
mod dynamic_temperature;
mod error;
mod exp;
mod greedy;
mod infill;
mod kind;
mod min_p;
mod mirostat;
mod mirostat_v2;
mod model_defaults;
mod moments;
mod params;
mod penalties;
mod probabilities;
mod rng;
mod sampler;
mod temperature;
mod top_k;
mod top_n_sigma;
mod top_p;
mod typical;
mod vocabulary;
mod xtc;

pub use error::SampleError;
pub use kind::SamplerKind;
pub use params::{Mirostat, Params};
pub use probabilities::{Probabilities, TokenProbability};
pub use sampler::Sampler;
pub use vocabulary::Vocabulary;

//! Choosing the next token from logits.
//!
//! A [`Sampler`] runs a chain of steps over the logits of one position, in the
//! order llama.cpp uses: penalties, top-k, top-p, min-p, temperature, draw.
//! Each step is a file of its own that works on the candidates left over by
//! the steps before it.
#![forbid(unsafe_code)]

mod candidates;
mod draw;
mod error;
mod greedy;
mod min_p;
mod params;
mod penalties;
mod rng;
mod sampler;
mod temperature;
mod top_k;
mod top_p;

pub use error::SampleError;
pub use params::Params;
pub use sampler::Sampler;

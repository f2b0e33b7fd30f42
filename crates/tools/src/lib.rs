//! Measuring models, and making some to measure.
//!
//! [`bench`] times a model file as llama.cpp's `llama-bench` does. [`synth`] writes a model file of
//! a real model's shape with random weights, so that anyone can measure without a download.
#![forbid(unsafe_code)]

pub mod bench;
mod error;
mod file_type;
pub mod synth;

pub use error::Error;

//! Measuring models, making some to measure, and examining the machine.
//!
//! [`bench`] times a model file as llama.cpp's `llama-bench` does. [`synth`] writes a model file of
//! a real model's shape with random weights, so that anyone can measure without a download.
//! [`doctor`] tells what the machine has, what is used of it, and whether a model fits.
#![forbid(unsafe_code)]

pub mod bench;
pub mod doctor;
mod error;
mod file_type;
pub mod synth;

pub use error::Error;

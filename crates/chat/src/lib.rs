//! Chat templates: messages to prompt text.
//!
//! A model brings its own template in Jinja, written for Python's jinja2 as
//! Hugging Face's `apply_chat_template` sets it up. [`Template`] runs it the same way.
#![forbid(unsafe_code)]

mod error;
mod jinja;
mod message;
mod template;

pub use error::Error;
pub use message::{Content, Message};
pub use template::{CHATML, Template};

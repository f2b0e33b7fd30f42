//! Chat templates and answers: messages to prompt text, and text back to messages.
//!
//! A model brings its own template in Jinja, written for Python's jinja2 as
//! Hugging Face's `apply_chat_template` sets it up. [`Template`] runs it the same way. [`Chat`]
//! knows besides how the model writes thoughts and calls of functions: it gives [`Prompt`]s with a
//! [`Parser`] of the answer and a [`Constraint`] for it.
#![forbid(unsafe_code)]

mod adapt;
mod capabilities;
mod chat;
mod constraint;
mod error;
mod format;
mod generic;
mod jinja;
mod message;
mod named;
mod parser;
mod request;
mod template;

pub use capabilities::Capabilities;
pub use chat::{Chat, Prompt};
pub use constraint::Constraint;
pub use error::Error;
pub use message::{Content, FunctionCall, Message, Part, ToolCall};
pub use named::{named, names};
pub use parser::{Answer, Delta, Diagnostic, Parser};
pub use request::{Function, ReasoningFormat, Request, Tool, ToolChoice};
pub use template::{CHATML, Template};

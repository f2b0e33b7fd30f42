//! Jinja as Hugging Face's `apply_chat_template` sets it up.

mod clock;
mod generation;
mod limits;
mod mutation;
mod tojson;

pub(crate) use clock::{now, set_clock, strftime};
pub(crate) use generation::plain_generation_tags;
pub(crate) use limits::{TooMuch, guard, reset};
pub(crate) use mutation::assign_mutations;

use std::fmt;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};

/// An environment with what templates expect besides the standard.
pub(crate) fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(syntax()?);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    limits::add(&mut environment);
    environment.add_filter("tojson", tojson::tojson);
    environment.add_filter("length", length);
    environment.add_filter("count", length);
    environment.add_function("raise_exception", raise_exception);
    set_clock(&mut environment, clock::now);
    Ok(environment)
}

/// How templates are read.
pub(crate) fn syntax() -> Result<SyntaxConfig, Error> {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()
}

/// As in Python, what is undefined has no items.
fn length(value: &Value) -> Result<usize, Error> {
    if value.is_undefined() {
        return Ok(0);
    }
    let none = || format!("cannot calculate length of value of type {}", value.kind());
    value.len().ok_or_else(|| Error::new(ErrorKind::InvalidOperation, none()))
}

/// What a template raised on purpose.
#[derive(Debug)]
pub(crate) struct Raised(pub(crate) String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, "raised").with_source(Raised(message)))
}

//! Holding generated text to a grammar.
//!
//! A [`Grammar`] is what text shall follow: GBNF (llama.cpp's notation), a JSON schema, a regular
//! expression, or Lark; at once or, lazily, from a trigger on. A [`Constraint`] tells token by
//! token which tokens of a [`Vocabulary`] it allows. The work is llguidance's, an Earley parser
//! over lexemes; what is here makes grammars of all kinds ready for it.
#![forbid(unsafe_code)]

mod constraint;
mod error;
mod gbnf;
mod grammar;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod properties;
mod schema;
#[cfg(test)]
mod testing;
mod token_set;
mod trigger;
mod vocabulary;

pub use constraint::Constraint;
pub use error::Error;
pub use grammar::Grammar;
pub use token_set::TokenSet;
pub use trigger::Trigger;
pub use vocabulary::Vocabulary;

//! GBNF, llama.cpp's notation of grammars (its `grammars/README.md`).
//!
//! The engine knows no GBNF, but Lark: rules over lexemes, where a lexer takes the longest lexeme
//! before the rules are asked. GBNF has no lexer. So a part that does not recur becomes one
//! lexeme, which is fast, but only where taking the longest can't lead astray; otherwise it is
//! broken up, in the end to single characters.

mod ast;
mod lark;
mod lexemes;
mod parse;
mod plan;
mod recursion;
mod regular;
mod resolve;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod texts;

use crate::{Error, Vocabulary};

/// A GBNF grammar that is well-formed.
#[derive(Debug, Clone)]
pub(crate) struct Gbnf(ast::Syntax);

impl Gbnf {
    /// Reads a grammar.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let syntax = parse::parse(text)?;
        recursion::check_left_recursion(&syntax)?;
        recursion::check_depth(&syntax)?;
        Ok(Self(syntax))
    }

    /// The same language in Lark.
    pub(crate) fn to_lark(&self, vocabulary: &Vocabulary) -> Result<String, Error> {
        let syntax = resolve::resolve(&self.0, vocabulary)?;
        lexemes::plan(&syntax, lark::write)
    }
}

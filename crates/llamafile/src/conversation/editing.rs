//! What the line editor knows of conversations: commands to complete, a styled prompt.

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper, Result};

use super::commands;

/// Completes slash commands; its presence makes the editor show the styled prompt.
pub struct Editing;

impl Helper for Editing {}
impl Highlighter for Editing {}
impl Validator for Editing {}

impl Hinter for Editing {
    type Hint = String;
}

impl Completer for Editing {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> Result<(usize, Vec<String>)> {
        let begun = &line[..at];
        if !begun.starts_with('/') {
            return Ok((at, Vec::new()));
        }
        let fitting = commands::names().filter(|name| name.starts_with(begun));
        Ok((0, fitting.map(str::to_owned).collect()))
    }
}

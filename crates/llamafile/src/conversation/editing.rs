//! What the line editor knows of conversations: commands to complete, files after some of them, hints,
//! a styled prompt.

use std::borrow::Cow;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper, Result};

use super::commands::{self, Command};
use crate::terminal::Style;

/// Completes slash commands; its presence makes the editor show the styled prompt.
pub struct Editing {
    files: FilenameCompleter,
    style: Style,
}

impl Editing {
    /// With hints in this style.
    pub fn new(style: Style) -> Self {
        Self { files: FilenameCompleter::new(), style }
    }
}

impl Helper for Editing {}
impl Validator for Editing {}

impl Highlighter for Editing {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        self.style.dim(hint).into()
    }
}

impl Hinter for Editing {
    type Hint = String;

    fn hint(&self, line: &str, at: usize, _: &Context<'_>) -> Option<String> {
        if at == line.len() { commands::hint(line).filter(|hint| !hint.is_empty()) } else { None }
    }
}

impl Completer for Editing {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, cx: &Context<'_>) -> Result<(usize, Vec<Pair>)> {
        let begun = &line[..at];
        if !begun.starts_with('/') {
            return Ok((at, Vec::new()));
        }
        if begun.contains(' ') {
            return match Command::parse(begun) {
                Some(Ok((command, _))) if command.takes_file() => self.files.complete(line, at, cx),
                _ => Ok((at, Vec::new())),
            };
        }
        let fitting = commands::names().filter(|name| name.starts_with(begun));
        let pair = |name: &str| Pair { display: name.into(), replacement: name.into() };
        Ok((0, fitting.map(pair).collect()))
    }
}

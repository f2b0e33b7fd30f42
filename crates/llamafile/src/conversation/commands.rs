//! What begins with a slash in a conversation.

use crate::args::nearest;
use crate::error::CliError;
use crate::terminal::Style;

/// A command of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Lists the commands.
    Help,
    /// Forgets the conversation.
    Clear,
    /// Reports speeds.
    Stats,
    /// Leaves.
    Exit,
}

const COMMANDS: &[(&[&str], Command, &str)] = &[
    (&["/help", "/?"], Command::Help, "list the commands"),
    (&["/clear"], Command::Clear, "forget the conversation and begin anew"),
    (&["/stats"], Command::Stats, "report load time, speeds and context use"),
    (&["/exit", "/quit", "/bye"], Command::Exit, "leave; Ctrl-D does the same"),
];

impl Command {
    /// The command that `line` is; `None` for a message to the model.
    ///
    /// A first word with further slashes is a path, and part of a message.
    pub fn parse(line: &str) -> Option<Result<Self, CliError>> {
        let word = line.split_whitespace().next()?;
        if !word.starts_with('/') || word[1..].contains('/') {
            return None;
        }
        let found = COMMANDS.iter().find(|(names, ..)| names.contains(&word));
        Some(found.map(|(_, command, _)| *command).ok_or_else(|| unknown(word)))
    }
}

/// The first spelling of each command, for completion.
pub fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().filter_map(|(names, ..)| names.first().copied())
}

fn unknown(word: &str) -> CliError {
    let error = CliError::new(format!("there is no command {word}"));
    let names = COMMANDS.iter().flat_map(|(names, ..)| names.iter().copied());
    match nearest(word, names) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint("/help lists the commands"),
    }
}

/// The list of commands and keys.
pub fn help(style: Style) -> String {
    let mut lines: Vec<String> =
        COMMANDS.iter().map(|(names, _, about)| entry(style, &names.join(", "), about)).collect();
    lines.push(entry(style, "\"\"\"", "begin and end a message of several lines"));
    lines.push(entry(style, "Ctrl-C", "stop an answer; twice at the prompt: leave"));
    lines.push(entry(style, "Tab", "complete a command"));
    lines.push(entry(style, "Up, Ctrl-R", "earlier messages"));
    lines.join("\n")
}

fn entry(style: Style, left: &str, about: &str) -> String {
    let padding = " ".repeat(20 - left.len());
    format!("  {}{padding}{about}", style.accent(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_messages() {
        assert!(Command::parse("hello /exit").is_none());
        assert!(Command::parse("/usr/bin is what?").is_none());
        assert!(Command::parse("").is_none());
        assert_eq!(Command::parse(" /? ").unwrap().unwrap(), Command::Help);
        assert_eq!(Command::parse("/bye").unwrap().unwrap(), Command::Exit);
    }

    #[test]
    fn unknown_commands_suggest_the_nearest() {
        let near = Command::parse("/claer").unwrap().unwrap_err();
        assert!(near.to_string().contains("did you mean /clear?"));
        let far = Command::parse("/frobnicate").unwrap().unwrap_err();
        assert!(far.to_string().contains("/help"));
    }
}

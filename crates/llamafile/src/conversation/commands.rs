//! What begins with a slash in a conversation.

use crate::args::nearest;
use crate::error::CliError;
use crate::terminal::Style;

/// A command of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Forgets the conversation.
    Clear,
    /// Reports how full the context is.
    Context,
    /// Shows the conversation, or writes it to a file.
    Dump,
    /// Leaves.
    Exit,
    /// Forgets the oldest question and its answer.
    Forget,
    /// Lists the commands.
    Help,
    /// Has the user write all roles.
    Manual,
    /// Returns to the last mark.
    Pop,
    /// Marks this point.
    Push,
    /// Lists the marks.
    Stack,
    /// Reports speeds.
    Stats,
    /// Takes the last question and its answer back.
    Undo,
    /// Shows the model a file.
    Upload,
}

/// What is known of a command.
struct Entry {
    command: Command,
    names: &'static [&'static str],
    /// What may follow it.
    operand: &'static str,
    about: &'static str,
}

const COMMANDS: &[Entry] = &[
    Entry {
        command: Command::Clear,
        names: &["/clear"],
        operand: "",
        about: "forget the conversation and begin anew",
    },
    Entry {
        command: Command::Context,
        names: &["/context"],
        operand: "",
        about: "say how full the context is",
    },
    Entry {
        command: Command::Dump,
        names: &["/dump"],
        operand: "[FILE]",
        about: "show the conversation as the model sees it, or write it to a file",
    },
    Entry {
        command: Command::Exit,
        names: &["/exit", "/quit", "/bye"],
        operand: "",
        about: "leave; Ctrl-D does the same",
    },
    Entry {
        command: Command::Forget,
        names: &["/forget"],
        operand: "",
        about: "forget the oldest question and its answer, for room",
    },
    Entry {
        command: Command::Help,
        names: &["/help", "/?"],
        operand: "",
        about: "list the commands",
    },
    Entry {
        command: Command::Manual,
        names: &["/manual"],
        operand: "[on|off]",
        about: "write what everybody says; an empty line has the model go on",
    },
    Entry {
        command: Command::Pop,
        names: &["/pop"],
        operand: "",
        about: "return to the point that /push marked last",
    },
    Entry {
        command: Command::Push,
        names: &["/push"],
        operand: "",
        about: "mark this point of the conversation",
    },
    Entry {
        command: Command::Stack,
        names: &["/stack"],
        operand: "",
        about: "list the marked points",
    },
    Entry {
        command: Command::Stats,
        names: &["/stats"],
        operand: "",
        about: "report load time, speeds and context use",
    },
    Entry {
        command: Command::Undo,
        names: &["/undo"],
        operand: "",
        about: "take the last question and its answer back",
    },
    Entry {
        command: Command::Upload,
        names: &["/upload"],
        operand: "FILE",
        about: "show the model a text file with the next message",
    },
];

impl Command {
    /// The command that `line` is, and what follows it; `None` for a message to the model.
    ///
    /// A first word with further slashes is a path, and part of a message.
    pub fn parse(line: &str) -> Option<Result<(Self, &str), CliError>> {
        let line = line.trim();
        let (word, operand) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if !word.starts_with('/') || word[1..].contains('/') {
            return None;
        }
        let operand = operand.trim();
        let found = COMMANDS.iter().find(|entry| entry.names.contains(&word));
        Some(match found {
            None => Err(unknown(word)),
            Some(Entry { operand: "", .. }) if !operand.is_empty() => {
                Err(CliError::new(format!("{word} stands alone")).hint("/help lists the commands"))
            }
            Some(entry) => Ok((entry.command, operand)),
        })
    }

    /// Whether a file follows it.
    pub fn takes_file(self) -> bool {
        matches!(self, Self::Dump | Self::Upload)
    }
}

/// The first spelling of each command, for completion.
pub fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().filter_map(|entry| entry.names.first().copied())
}

/// What is missing at the end of a line that begins as a command does.
pub fn hint(line: &str) -> Option<String> {
    let begins = |name: &&str| line.len() > 1 && name.starts_with(line);
    let fitting = |entry: &&Entry| entry.names.iter().any(begins);
    let mut fitting = COMMANDS.iter().filter(fitting);
    let (entry, None) = (fitting.next()?, fitting.next()) else { return None };
    let name = entry.names.iter().find(|name| begins(name))?;
    let operand =
        if entry.operand.is_empty() { String::new() } else { format!(" {}", entry.operand) };
    Some(format!("{}{operand}", &name[line.len()..]))
}

fn unknown(word: &str) -> CliError {
    let error = CliError::new(format!("there is no command {word}"));
    let names = COMMANDS.iter().flat_map(|entry| entry.names.iter().copied());
    match nearest(word, names) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint("/help lists the commands"),
    }
}

/// The list of commands and keys.
pub fn help(style: Style) -> String {
    let line = |entry: &Entry| {
        let left = format!("{} {}", entry.names.join(", "), entry.operand);
        self::line(style, left.trim_end(), entry.about)
    };
    let mut lines: Vec<String> = COMMANDS.iter().map(line).collect();
    lines.push(self::line(style, "\"\"\"", "begin and end a message of several lines"));
    lines.push(self::line(style, "Ctrl-C", "stop an answer; twice at the prompt: leave"));
    lines.push(self::line(style, "Tab", "complete a command, or the name of a file after one"));
    lines.push(self::line(style, "Up, Ctrl-R", "earlier messages"));
    lines.join("\n")
}

fn line(style: Style, left: &str, about: &str) -> String {
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
        assert_eq!(Command::parse(" /? ").unwrap().unwrap(), (Command::Help, ""));
        assert_eq!(Command::parse("/bye").unwrap().unwrap(), (Command::Exit, ""));
        assert_eq!(Command::parse("/dump a b.txt").unwrap().unwrap(), (Command::Dump, "a b.txt"));
        assert!(Command::parse("/clear now").unwrap().is_err());
    }

    #[test]
    fn unknown_commands_suggest_the_nearest() {
        let near = Command::parse("/claer").unwrap().unwrap_err();
        assert!(near.to_string().contains("did you mean /clear?"));
        let far = Command::parse("/frobnicate").unwrap().unwrap_err();
        assert!(far.to_string().contains("/help"));
    }

    #[test]
    fn hints_complete_what_is_certain() {
        assert_eq!(hint("/dum").as_deref(), Some("p [FILE]"));
        assert_eq!(hint("/clear").as_deref(), Some(""));
        assert_eq!(hint("/p"), None);
        assert_eq!(hint("/"), None);
        assert_eq!(hint("hello"), None);
        assert!(help(Style::plain()).lines().count() > COMMANDS.len());
    }
}

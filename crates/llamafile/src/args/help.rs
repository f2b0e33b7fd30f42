//! The help, made from the table of flags.

use std::fmt::Write;

use super::flag::{Action, Flag, Group};
use super::subcommands::{SUBCOMMANDS, Subcommand};
use super::tables;
use crate::models::KNOWN;
use crate::terminal::Style;
use tools::quantize::TARGETS;
use tools::synth::SHAPES;

const INDENT: usize = 28;
const WIDTH: usize = 96;

const EXAMPLES: &[(&str, &str)] = &[
    ("llamafile", "chat with the default model"),
    ("llamafile -p \"Why is the sky blue?\"", "one answer, then exit"),
    ("llamafile -m model.gguf", "chat with a model of yours"),
    ("llamafile -m model.gguf -f notes.txt", "the prompt from a file"),
    ("git diff | llamafile -sys \"Review this.\"", "the prompt from a pipe"),
    ("llamafile -no-cnv -p \"Once upon a time\"", "plain text, continued"),
    ("llamafile -p Hi --temp 0 -n 20 --timings", "repeatable, short, timed"),
    ("llamafile bench -m model.gguf", "how fast it is here"),
    ("llamafile doctor -m model.gguf", "whether it fits here"),
    ("llamafile pack model.gguf", "one file to hand to anyone"),
];

const COMMANDS: &[(&str, &str)] = &[
    ("llamafile [FLAGS]", "chat, or answer -p, -f or standard input"),
    ("llamafile chat [MODEL]", "the same as -m MODEL --chat"),
    ("llamafile run [MODEL] [PROMPT]", "the same as -m MODEL -p PROMPT"),
    ("llamafile pull MODEL", "fetch a known model"),
    ("llamafile --llamafile FILE [FLAGS]", "start what is packed in a file"),
    ("llamafile help [COMMAND]", "print this help, or that of a command"),
    ("llamafile version", "print the version"),
];

/// The help of a command, or all of it.
pub fn help(style: Style, topic: Option<&str>) -> String {
    match topic.and_then(Subcommand::named) {
        Some(subcommand) => of_command(style, subcommand),
        None => of_all(style),
    }
}

fn of_command(style: Style, subcommand: &Subcommand) -> String {
    let Subcommand { name, usage, about, examples, flags, .. } = subcommand;
    let head = style.bold(&format!("llamafile {name} {usage}"));
    let mut text = format!("{head}: {about}\n");
    section(&mut text, style, "Examples");
    pairs(&mut text, style, examples, widest(examples));
    section(&mut text, style, "Flags");
    flags.iter().for_each(|flag| entry(&mut text, style, flag));
    match *name {
        "synth" => shapes(&mut text, style),
        "quantize" => targets(&mut text, style),
        "convert" => architectures(&mut text, style),
        _ => {}
    }
    text
}

fn of_all(style: Style) -> String {
    let mut text = String::from("llamafile runs language models from a single file.\n");
    section(&mut text, style, "Examples");
    pairs(&mut text, style, EXAMPLES, widest(EXAMPLES));
    section(&mut text, style, "Commands");
    let usages = SUBCOMMANDS.iter().map(|c| (format!("llamafile {} {}", c.name, c.usage), c.about));
    let usages: Vec<(String, &str)> = usages.collect();
    let commands = COMMANDS.iter().copied();
    let commands = commands.chain(usages.iter().map(|(usage, about)| (usage.as_str(), *about)));
    let commands: Vec<(&str, &str)> = commands.collect();
    pairs(&mut text, style, &commands, widest(&commands));
    for group in Group::ALL {
        section(&mut text, style, group.title());
        for flag in tables().flatten().filter(|flag| flag.group == group) {
            entry(&mut text, style, flag);
        }
    }
    section(&mut text, style, "Known models");
    for model in KNOWN {
        let about = format!("{} ({} MB)", model.title, model.bytes / 1_000_000);
        pairs(&mut text, style, &[(model.name, &about)], INDENT);
    }
    shapes(&mut text, style);
    text
}

fn shapes(text: &mut String, style: Style) {
    section(text, style, "Shapes of llamafile synth");
    for shape in SHAPES {
        pairs(text, style, &[(shape.name, shape.title)], INDENT);
    }
}

fn architectures(text: &mut String, style: Style) {
    section(text, style, "Architectures, as config.json names them");
    let all: Vec<&str> = tools::convert::architectures().collect();
    for line in wrap(&all.join(", "), WIDTH - 2) {
        let _ = writeln!(text, "  {line}");
    }
}

fn targets(text: &mut String, style: Style) {
    section(text, style, "Targets, and the bits per weight of their base type");
    for target in TARGETS {
        let bits = 8.0 * target.base.block_bytes() as f64 / target.base.block_len() as f64;
        let number = target.file_type.map_or(String::new(), |ty| (ty as u32).to_string());
        let about = match target.file_type {
            Some(_) => format!("{bits:7.3}  {}", target.about),
            None => format!("{:7}  {}", "", target.about),
        };
        let name = format!("{number:>2}  {}", target.name);
        pairs(text, style, &[(&name, &about)], 18);
    }
}

fn widest(pairs: &[(&str, &str)]) -> usize {
    pairs.iter().map(|(left, _)| left.len() + 4).max().unwrap_or(0)
}

fn section(text: &mut String, style: Style, title: &str) {
    let _ = writeln!(text, "\n{}", style.bold(title));
}

fn pairs(text: &mut String, style: Style, pairs: &[(&str, &str)], width: usize) {
    for (left, right) in pairs {
        let padding = " ".repeat(width.saturating_sub(left.len() + 2));
        let _ = writeln!(text, "  {}{padding}{right}", style.accent(left));
    }
}

fn entry(text: &mut String, style: Style, flag: &Flag) {
    let (off, value): (&[&str], _) = match &flag.action {
        Action::Plain(_) => (&[], String::new()),
        Action::Switch { off, .. } => (off, String::new()),
        Action::Value { name, .. } => (&[], format!(" {name}")),
        Action::Optional { off, .. } => (off, " [on|off|auto]".into()),
    };
    let names: Vec<&str> = flag.names.iter().chain(off).copied().collect();
    let head = format!("{}{value}", names.join(", "));
    let mut about = flag.help.to_owned();
    if let Some(variable) = flag.env {
        let _ = write!(about, " [{variable}]");
    }
    let mut lines = wrap(&about, WIDTH - INDENT).into_iter();
    if head.len() + 4 <= INDENT {
        let padding = " ".repeat(INDENT - 2 - head.len());
        let first = lines.next().unwrap_or_default();
        let _ = writeln!(text, "  {}{padding}{first}", style.accent(&head));
    } else {
        let _ = writeln!(text, "  {}", style.accent(&head));
    }
    for line in lines {
        let _ = writeln!(text, "{:INDENT$}{line}", "");
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let fits = lines
            .last()
            .is_some_and(|line| line.is_empty() || line.len() + 1 + word.len() <= width);
        if !fits {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_is_in_the_help_and_no_line_is_too_long() {
        let text = help(Style::plain(), None);
        for flag in tables().flatten() {
            for name in flag.names {
                assert!(text.contains(name), "{name}");
            }
        }
        for line in text.lines() {
            assert!(line.len() <= WIDTH, "{line}");
        }
    }

    #[test]
    fn every_command_has_a_help_of_its_own() {
        for subcommand in SUBCOMMANDS {
            let text = help(Style::plain(), Some(subcommand.name));
            assert!(text.starts_with(&format!("llamafile {} ", subcommand.name)), "{text}");
            assert!(text.contains("--help") && !text.contains("--top-k"), "{text}");
            for (line, _) in subcommand.examples {
                assert!(line.contains(subcommand.name) && text.contains(line), "{line}");
            }
            for line in text.lines() {
                assert!(line.len() <= WIDTH, "{line}");
            }
        }
    }
}

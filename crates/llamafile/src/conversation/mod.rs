//! The conversation on a terminal.

mod code;
mod commands;
mod editing;
mod markdown;
mod reader;
mod talk;
mod transcript;

use std::io::IsTerminal;

use engine::Engine;

use crate::error::CliError;
use crate::settings::Settings;
use crate::terminal::{Style, catch_interrupts};
use commands::Command;
use reader::{Input, Reader};
use talk::Talk;

/// Talks until the user leaves.
pub fn chat(engine: &Engine, settings: &Settings, first: Option<String>) -> Result<(), CliError> {
    let style = Style::new(settings.color, std::io::stdout().is_terminal());
    let mut talk = Talk::new(engine, settings, style)?;
    talk.banner();
    catch_interrupts()?;
    if let Some(text) = first {
        eprintln!("{}{text}", style.user("> "));
        talk.hear(text)?;
    }
    let mut reader = Reader::new(settings, style)?;
    let mut leaving = false;
    loop {
        match reader.read(&talk.prompt())? {
            Input::End => break,
            Input::Interrupt if leaving => break,
            Input::Interrupt => {
                leaving = true;
                talk.remark("Ctrl-C again leaves.");
                continue;
            }
            Input::Text(text) => match Command::parse(&text) {
                None => talk.hear(text)?,
                Some(Ok((Command::Exit, _))) => break,
                Some(Ok((command, operand))) => talk.obey(command, operand),
                Some(Err(error)) => eprintln!("{error}"),
            },
        }
        leaving = false;
    }
    reader.finish();
    Ok(())
}

//! The conversation on a terminal.

mod commands;
mod editing;
mod reader;

use std::io::IsTerminal;
use std::ops::ControlFlow;

use chat::{Message, Template};
use engine::{Engine, Finish};

use crate::answer::Output;
use crate::error::CliError;
use crate::generator::{self, Generator};
use crate::settings::Settings;
use crate::terminal::{Style, catch_interrupts, interrupted};
use commands::Command;
use reader::{Input, Reader};

/// Talks until the user leaves.
pub fn chat(engine: &Engine, settings: &Settings, first: Option<String>) -> Result<(), CliError> {
    let style = Style::new(settings.color, std::io::stdout().is_terminal());
    let mut talk = Talk {
        generator: Generator::new(engine, settings)?,
        template: generator::template(engine, settings)?.0,
        messages: Vec::new(),
        system: settings.system_text(),
        timings: settings.timings,
        style,
    };
    talk.clear();
    talk.banner();
    catch_interrupts()?;
    if let Some(text) = first {
        eprintln!("{}{text}", style.user("> "));
        talk.say(text)?;
    }
    let mut reader = Reader::new(settings, style)?;
    let mut leaving = false;
    loop {
        match reader.read()? {
            Input::End => break,
            Input::Interrupt if leaving => break,
            Input::Interrupt => {
                leaving = true;
                talk.remark("Ctrl-C again leaves.");
                continue;
            }
            Input::Text(text) => match Command::parse(&text) {
                None if text.trim().is_empty() => {}
                None => talk.say(text)?,
                Some(Ok(Command::Exit)) => break,
                Some(Ok(command)) => talk.obey(&command),
                Some(Err(error)) => eprintln!("{error}"),
            },
        }
        leaving = false;
    }
    reader.finish();
    Ok(())
}

/// What was said so far, and the model that answers.
struct Talk<'e> {
    generator: Generator<'e>,
    template: Template,
    messages: Vec<Message>,
    system: Option<String>,
    timings: bool,
    style: Style,
}

impl Talk<'_> {
    fn banner(&self) {
        let info = self.generator.engine().info();
        let session = self.generator.session();
        let facts = [
            ("model", format!("{} ({}, {})", info.name, info.architecture, size(info))),
            ("context", format!("{} tokens", session.n_ctx())),
            ("backend", session.backend()),
        ];
        eprintln!("{}", self.style.bold(concat!("llamafile ", env!("CARGO_PKG_VERSION"))));
        for (name, fact) in facts {
            eprintln!("{} {fact}", self.style.dim(&format!("{name:8}")));
        }
        self.remark(
            "\nType a message. /help lists commands, Ctrl-C stops an answer, Ctrl-D leaves.\n",
        );
    }

    /// Adds a message of the user and writes the model's answer.
    ///
    /// An answer that fails leaves the conversation as it was before; only a standard output that
    /// cannot be written ends it.
    fn say(&mut self, text: String) -> Result<(), CliError> {
        self.messages.push(Message::new("user", text));
        interrupted();
        let mut out = Output::new();
        let mut answer = String::new();
        let tokens = self.generator.chat_tokens(&self.template, &self.messages);
        let finish = tokens.and_then(|tokens| {
            self.generator.run(&tokens, &interrupted, &mut |piece| {
                answer.push_str(piece);
                if interrupted() { ControlFlow::Break(()) } else { out.write(piece) }
            })
        });
        out.end()?;
        match finish {
            Ok(Finish::Cancelled) => self.remark("(stopped)"),
            Ok(Finish::ContextFull) => {
                self.remark("(the context is full: /clear begins anew, -c gives a larger one)");
            }
            Ok(Finish::EndOfGeneration | Finish::StopText | Finish::Limit) => {}
            Err(error) => eprintln!("{error}"),
        }
        if answer.is_empty() {
            self.messages.pop();
        } else {
            self.messages.push(Message::new("assistant", answer));
        }
        if self.timings {
            self.remark(&self.generator.timings());
        }
        eprintln!();
        Ok(())
    }

    fn obey(&mut self, command: &Command) {
        match command {
            Command::Help => eprintln!("{}", commands::help(self.style)),
            Command::Clear => {
                self.clear();
                self.remark("The conversation is forgotten.");
            }
            Command::Stats => {
                let session = self.generator.session();
                self.remark(&self.generator.timings());
                let (used, n_ctx) = (session.tokens().len(), session.n_ctx());
                self.remark(&format!("context {used} of {n_ctx} tokens used"));
            }
            Command::Exit => {}
        }
    }

    fn clear(&mut self) {
        self.generator.clear();
        self.messages.clear();
        self.messages.extend(self.system.clone().map(|text| Message::new("system", text)));
    }

    fn remark(&self, text: &str) {
        eprintln!("{}", self.style.dim(text));
    }
}

/// Parameters and bytes of a model, for people.
fn size(info: &engine::ModelInfo) -> String {
    let parameters = match info.n_params {
        n if n >= 1_000_000_000 => format!("{:.1} billion parameters", n as f64 / 1e9),
        n => format!("{} million parameters", n / 1_000_000),
    };
    format!("{parameters}, {} MB", info.bytes / 1_000_000)
}

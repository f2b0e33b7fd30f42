//! One prompt, one answer on standard output.

use std::io::{self, ErrorKind, StdoutLock, Write};
use std::ops::ControlFlow;

use chat::{Chat, Message};
use engine::{Engine, Finish};

use crate::diffusion;
use crate::error::CliError;
use crate::generator::{self, Generator};
use crate::settings::{Mode, Settings};

/// Writes the answer to `prompt`, or its continuation in [`Mode::Completion`] and by models that
/// do not converse.
pub fn answer(engine: &Engine, settings: &Settings, prompt: &str) -> Result<(), CliError> {
    let mut generator = Generator::new(engine, settings)?;
    let chat = asked_chat(engine, settings)?;
    let tokens = match &chat {
        None => generator.text_tokens(prompt),
        Some(chat) => {
            let system = settings.system_text().map(|text| Message::new("system", text));
            let user = Message::new("user", prompt);
            let messages: Vec<Message> = system.into_iter().chain([user]).collect();
            generator.prompt(chat, &messages)?.0
        }
    };
    let mut out = Output::new();
    if settings.display_prompt.unwrap_or(chat.is_none()) {
        let _ = out.write(prompt);
        if chat.is_some() {
            let _ = out.write("\n\n");
        }
    }
    if engine.is_diffusion() {
        drop(generator);
        diffusion::answer(engine, settings, &tokens, &mut out)?;
        return out.end();
    }
    let finish = generator.run(&tokens, &|| false, &mut |text| out.write(text))?;
    out.end()?;
    if finish == Finish::ContextFull {
        let n_ctx = generator.session().n_ctx();
        eprintln!("note: the context of {n_ctx} tokens is full; -c gives a larger one");
    }
    if settings.timings || settings.verbose {
        eprintln!("{}", generator.timings());
    }
    Ok(())
}

/// How to chat, where the prompt is to be a message.
fn asked_chat(engine: &Engine, settings: &Settings) -> Result<Option<Chat>, CliError> {
    if settings.mode == Mode::Completion {
        return Ok(None);
    }
    let (chat, real) = generator::chat(engine, settings)?;
    if !real && settings.mode == Mode::Auto {
        eprintln!(
            "note: the model has no chat template, so it continues the prompt as plain text; \
             --cli makes it answer"
        );
        return Ok(None);
    }
    Ok(Some(chat))
}

/// Standard output that remembers its first failure and where the line stands.
pub struct Output {
    stdout: StdoutLock<'static>,
    failure: Option<io::Error>,
    in_line: bool,
}

impl Output {
    /// Nothing written yet.
    pub fn new() -> Self {
        Self { stdout: io::stdout().lock(), failure: None, in_line: false }
    }

    /// Writes `text` at once; breaks off when nobody reads it any more.
    pub fn write(&mut self, text: &str) -> ControlFlow<()> {
        self.write_bytes(text.as_bytes())
    }

    /// As [`Output::write`], of what need not be whole characters.
    pub fn write_bytes(&mut self, text: &[u8]) -> ControlFlow<()> {
        if self.failure.is_none() && !text.is_empty() {
            let written = self.stdout.write_all(text);
            self.failure = written.and_then(|()| self.stdout.flush()).err();
            self.in_line = !text.ends_with(b"\n");
        }
        if self.failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Ends the last line. A reader that went away is no error; a full disk is.
    pub fn end(mut self) -> Result<(), CliError> {
        if self.in_line {
            let _ = self.write("\n");
        }
        match self.failure {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(CliError::new(format!("cannot write the answer: {error}")))
            }
            _ => Ok(()),
        }
    }
}

//! What was said so far, and the model that answers.

use std::ops::ControlFlow;
use std::path::Path;
use std::{fs, mem};

use chat::{Chat, Content, Delta, Message};
use engine::{Engine, Finish};

use super::commands::{self, Command};
use super::markdown::Markdown;
use super::transcript::Transcript;
use crate::answer::Output;
use crate::error::CliError;
use crate::generator::{self, Generator};
use crate::settings::Settings;
use crate::terminal::{Style, interrupted};

/// Largest file that /upload takes.
const LARGEST_FILE: u64 = 16 << 20;

/// What was said so far, and the model that answers.
pub struct Talk<'e> {
    generator: Generator<'e>,
    chat: Chat,
    transcript: Transcript,
    system: Option<String>,
    /// Files that go with the next message.
    uploads: String,
    /// Whether the user writes what everybody says, and who is next then.
    manual: Option<&'static str>,
    timings: bool,
    style: Style,
}

impl<'e> Talk<'e> {
    /// Nothing said yet.
    pub fn new(engine: &'e Engine, settings: &Settings, style: Style) -> Result<Self, CliError> {
        let mut talk = Self {
            generator: Generator::new(engine, settings)?,
            chat: generator::chat(engine, settings)?.0,
            transcript: Transcript::default(),
            system: settings.system_text(),
            uploads: String::new(),
            manual: None,
            timings: settings.timings,
            style,
        };
        talk.clear();
        Ok(talk)
    }

    /// Says what answers, and how to get help.
    pub fn banner(&self) {
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

    /// What the line to type begins with.
    pub fn prompt(&self) -> String {
        self.manual.map_or_else(|| "> ".to_owned(), |role| format!("{role}> "))
    }

    /// Takes a line that is no command.
    pub fn hear(&mut self, text: String) -> Result<(), CliError> {
        match self.manual {
            None if text.trim().is_empty() => Ok(()),
            None => {
                self.push_user(text);
                self.answer()
            }
            Some(_) if text.trim().is_empty() => self.answer(),
            Some("user") => {
                self.push_user(text);
                self.manual = Some("assistant");
                Ok(())
            }
            Some(role) => {
                self.transcript.push(Message::new(role, text));
                self.manual = Some("user");
                Ok(())
            }
        }
    }

    fn push_user(&mut self, text: String) {
        let files = mem::take(&mut self.uploads);
        self.transcript.push(Message::new("user", files + &text));
    }

    /// Writes the model's answer.
    ///
    /// One that fails leaves the conversation as it was before the question; only a standard output
    /// that cannot be written ends it.
    fn answer(&mut self) -> Result<(), CliError> {
        interrupted();
        let mut voice = Voice::new(self.style);
        let prompt = self.generator.prompt(&self.chat, self.transcript.messages());
        let finish = prompt.and_then(|(tokens, mut prompt)| {
            self.generator.follow(&prompt);
            let finish = self.generator.run(&tokens, &interrupted, &mut |piece| {
                if interrupted() {
                    return ControlFlow::Break(());
                }
                voice.say(prompt.parser.push(piece))
            });
            let _ = voice.say(prompt.parser.finish().0);
            finish
        });
        let answer = voice.end()?;
        match finish {
            Ok(Finish::Cancelled) => self.remark("(stopped)"),
            Ok(Finish::ContextFull) => self.remark(
                "(the context is full: /forget makes room, /clear begins anew, -c gives a larger one)",
            ),
            Ok(Finish::EndOfGeneration | Finish::StopText | Finish::Limit) => {}
            Err(error) => eprintln!("{error}"),
        }
        if answer.content == Content::Text(String::new()) && answer.reasoning_content.is_none() {
            self.transcript.pop();
        } else {
            self.transcript.push(answer);
        }
        self.manual = self.manual.map(|_| "user");
        if self.timings {
            self.remark(&self.generator.timings());
        }
        eprintln!();
        Ok(())
    }

    /// Does what a command says.
    pub fn obey(&mut self, command: Command, operand: &str) {
        let done = match command {
            Command::Exit => Ok(()),
            Command::Help => {
                eprintln!("{}", commands::help(self.style));
                Ok(())
            }
            Command::Clear => {
                self.clear();
                self.remark("The conversation is forgotten.");
                Ok(())
            }
            Command::Context => self.report_context(),
            Command::Dump => self.dump(operand),
            Command::Forget => {
                let done = self.transcript.forget();
                self.remark_whether(
                    done,
                    "The oldest question is forgotten.",
                    "There is nothing to forget.",
                );
                Ok(())
            }
            Command::Manual => self.set_manual(operand),
            Command::Push => {
                self.transcript.mark();
                self.remark("Marked. /pop returns here.");
                Ok(())
            }
            Command::Pop => {
                let done = self.transcript.return_to_mark();
                self.remark_whether(
                    done,
                    "Back at the mark.",
                    "Nothing is marked; /push marks a point.",
                );
                Ok(())
            }
            Command::Stack => {
                let marks = self.transcript.marks();
                marks.iter().for_each(|mark| self.remark(mark));
                self.remark_whether(
                    !marks.is_empty(),
                    "",
                    "Nothing is marked; /push marks a point.",
                );
                Ok(())
            }
            Command::Stats => {
                self.remark(&self.generator.timings());
                self.report_context()
            }
            Command::Undo => {
                let done = self.transcript.undo();
                self.remark_whether(
                    done,
                    "The last question is taken back.",
                    "There is nothing to take back.",
                );
                Ok(())
            }
            Command::Upload => self.upload(operand),
        };
        if let Err(error) = done {
            eprintln!("{error}");
        }
    }

    /// Tokens of the conversation, in which it may be anybody's turn.
    fn report_context(&self) -> Result<(), CliError> {
        let used = match self.transcript.messages() {
            [] => 0,
            messages => self.generator.prompt(&self.chat, messages)?.0.len(),
        };
        let n_ctx = self.generator.session().n_ctx();
        let share = 100 * used / n_ctx.max(1);
        self.remark(&format!("context {used} of {n_ctx} tokens used ({share} %)"));
        Ok(())
    }

    fn dump(&self, file: &str) -> Result<(), CliError> {
        let (_, prompt) = self.generator.prompt(&self.chat, self.transcript.messages())?;
        if file.is_empty() {
            eprintln!("{}", prompt.text);
            return Ok(());
        }
        let refused = |error| CliError::new(format!("cannot write '{file}': {error}"));
        fs::write(file, &prompt.text).map_err(refused)?;
        self.remark(&format!("Written to {file}."));
        Ok(())
    }

    fn set_manual(&mut self, operand: &str) -> Result<(), CliError> {
        let on = match operand {
            "on" => true,
            "off" => false,
            "" => self.manual.is_none(),
            _ => return Err(CliError::new("/manual takes on or off")),
        };
        self.manual = on.then_some(match self.transcript.messages() {
            [] => "system",
            [.., last] if last.role == "user" => "assistant",
            _ => "user",
        });
        self.remark_whether(
            on,
            "You write what everybody says; an empty line has the model go on.",
            "The model answers again.",
        );
        Ok(())
    }

    fn upload(&mut self, file: &str) -> Result<(), CliError> {
        let refused = |cause: &dyn std::fmt::Display| {
            CliError::new(format!("cannot show '{file}' to the model: {cause}"))
        };
        if file.is_empty() {
            return Err(CliError::new("/upload needs a file").hint("/upload notes.txt"));
        }
        let facts = fs::metadata(file).map_err(|error| refused(&error))?;
        if facts.len() > LARGEST_FILE {
            return Err(refused(&"it is larger than 16 MB"));
        }
        let bytes = fs::read(file).map_err(|error| refused(&error))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| refused(&"it is no text").hint("models read only text yet"))?;
        let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
        // More backticks than the text has in a row.
        let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        let newline = if text.ends_with('\n') { "" } else { "\n" };
        self.uploads += &format!("{name}:\n{fence}\n{text}{newline}{fence}\n\n");
        self.remark(&format!("{name} goes with your next message."));
        Ok(())
    }

    fn clear(&mut self) {
        self.generator.clear();
        self.uploads.clear();
        self.transcript.clear(self.system.as_deref());
    }

    fn remark_whether(&self, done: bool, yes: &str, no: &str) {
        let text = if done { yes } else { no };
        if !text.is_empty() {
            self.remark(text);
        }
    }

    /// Says something that is not part of the conversation.
    pub fn remark(&self, text: &str) {
        eprintln!("{}", self.style.dim(text));
    }
}

/// Writes an answer as it comes: thoughts faint, the rest as markdown.
struct Voice {
    out: Output,
    style: Style,
    markdown: Markdown,
    content: String,
    reasoning: String,
}

impl Voice {
    fn new(style: Style) -> Self {
        let markdown = Markdown::new(style);
        Self {
            out: Output::new(),
            style,
            markdown,
            content: String::new(),
            reasoning: String::new(),
        }
    }

    fn say(&mut self, deltas: Vec<Delta>) -> ControlFlow<()> {
        for delta in deltas {
            let shown = match delta {
                Delta::Reasoning(text) => {
                    self.reasoning += &text;
                    self.style.dim(&text)
                }
                Delta::Content(text) => {
                    let is_first = self.content.is_empty() && !self.reasoning.is_empty();
                    self.content += &text;
                    let gap = if is_first { "\n\n" } else { "" };
                    gap.to_owned() + &self.markdown.push(&text)
                }
                // Nothing can be called in a conversation.
                Delta::ToolCall { .. } | Delta::Arguments { .. } => continue,
            };
            self.out.write(&shown)?;
        }
        ControlFlow::Continue(())
    }

    /// The answer as a message.
    fn end(mut self) -> Result<Message, CliError> {
        let _ = self.out.write(&self.markdown.finish());
        self.out.end()?;
        let mut message = Message::new("assistant", self.content);
        message.reasoning_content = Some(self.reasoning).filter(|text| !text.is_empty());
        Ok(message)
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

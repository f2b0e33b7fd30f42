//! Takes an answer apart: thoughts, content, calls.

mod calls;
mod channels;
mod cursor;
mod json;
mod schema;
mod values;

pub(crate) use schema::{Schema, Signature};

use std::sync::Arc;

use calls::{CallReader, Grammar, Out};
use cursor::{Read, Stop};
use serde_json::{Map, Value};

use crate::format::{Format, Reasoning};
use crate::{FunctionCall, ToolCall};

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// More content.
    Content(String),
    /// More thoughts.
    Reasoning(String),
    /// A call begins.
    ToolCall {
        /// Calls count from 0.
        index: usize,
        /// The call's id, where the model gives one.
        id: Option<String>,
        /// The function's name.
        name: String,
    },
    /// More of the arguments of a call, a JSON object.
    Arguments {
        /// The call.
        index: usize,
        /// The next part of the JSON text.
        fragment: String,
    },
}

/// What is wrong with an answer. Its text is complete none the less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Diagnostic {
    /// What begins like a call is none; its text is in the content.
    #[error("what begins like a call of a function is none, and is left in the content")]
    NotACall,
    /// The arguments of a call are no JSON; what follows them is in the content.
    #[error("the arguments of a call are not valid JSON")]
    InvalidArguments,
    /// The text ends within a call.
    #[error("the answer ends within a call of a function")]
    UnfinishedCall,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// The content.
    pub content: String,
    /// The thoughts.
    pub reasoning: String,
    /// The calls; arguments are JSON text.
    pub tool_calls: Vec<ToolCall>,
    /// What is wrong with it.
    pub diagnostic: Option<Diagnostic>,
}

/// Takes an answer apart while it arrives.
///
/// The parts are the same for every way to cut the text into pieces.
#[derive(Debug, Clone)]
pub struct Parser {
    format: Arc<Format>,
    functions: Arc<[Signature]>,
    thoughts_apart: bool,
    /// What has not been taken yet.
    text: String,
    state: State,
    /// Whether text is thought rather than content.
    thinking: bool,
    /// The prompt began these thoughts.
    is_prompted: bool,
    /// White space after what has been taken; dropped if a marker follows.
    space: String,
    /// White space is dropped until other text comes.
    trims: bool,
    /// Nothing has been said since the answer or its thoughts ended.
    is_front: bool,
    calls: usize,
    /// So much of `text` is of the prompt.
    prompted: usize,
    diagnostic: Option<Diagnostic>,
    deltas: Vec<Delta>,
}

#[derive(Debug, Clone)]
enum State {
    /// Thoughts or content.
    Text,
    Calls(CallReader),
    /// Before the header of a message.
    Header,
}

/// What a marker in thoughts or content does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Think,
    Answer,
    Call,
    /// A message ends.
    End,
    /// A message begins.
    Start,
    Drop,
}

impl Parser {
    /// Takes apart what `format` describes; without functions, nothing is a call. `primed` is the
    /// end of the prompt from its last marker on.
    pub(crate) fn new(
        format: Arc<Format>,
        functions: Arc<[Signature]>,
        thoughts_apart: bool,
        primed: &str,
    ) -> Self {
        let thinking = format.reasoning.as_ref().is_some_and(|r| r.open.is_empty());
        let state = if format.channels.is_some() { State::Header } else { State::Text };
        let mut parser = Self {
            format,
            functions,
            thoughts_apart,
            text: String::new(),
            state,
            thinking,
            is_prompted: false,
            space: String::new(),
            trims: thinking,
            is_front: true,
            calls: 0,
            prompted: 0,
            diagnostic: None,
            deltas: Vec::new(),
        };
        // Thoughts that stay in the content begin with their tag, even if the prompt ends with it.
        parser.text.push_str(primed);
        parser.run(false);
        parser.prompted = parser.text.len();
        parser.is_prompted = parser.thinking;
        parser
    }

    /// A parser of plain text.
    pub fn plain() -> Self {
        Self::new(Arc::default(), Arc::from([]), true, "")
    }

    /// Whether what comes next is thought.
    pub fn is_thinking(&self) -> bool {
        self.thinking
    }

    /// Takes the next piece, and gives the parts that are certain.
    pub fn push(&mut self, text: &str) -> Vec<Delta> {
        self.text.push_str(text);
        self.run(false);
        std::mem::take(&mut self.deltas)
    }

    /// Gives the parts that were not certain before the end, and what is wrong.
    pub fn finish(&mut self) -> (Vec<Delta>, Option<Diagnostic>) {
        self.run(true);
        if let State::Calls(mut reader) = std::mem::replace(&mut self.state, State::Text)
            && !reader.finish(&mut Out::new(&mut self.deltas, &mut self.calls))
        {
            self.diagnostic = Some(Diagnostic::UnfinishedCall);
        }
        let space = std::mem::take(&mut self.space);
        self.emit(space);
        (std::mem::take(&mut self.deltas), self.diagnostic)
    }

    /// Takes a whole answer apart.
    #[must_use]
    pub fn parse(mut self, text: &str) -> Answer {
        let mut answer = Answer::default();
        self.push(text).into_iter().for_each(|delta| answer.add(delta));
        let (deltas, diagnostic) = self.finish();
        deltas.into_iter().for_each(|delta| answer.add(delta));
        answer.diagnostic = diagnostic;
        answer
    }

    fn run(&mut self, ended: bool) {
        let text = std::mem::take(&mut self.text);
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let taken = match self.state {
                State::Text => self.text(rest, ended),
                State::Header => self.header(rest, ended),
                State::Calls(_) => self.calls(rest, ended),
            };
            match taken {
                Ok(taken) => at += taken,
                Err(_) => break,
            }
        }
        self.text = text[at..].to_owned();
    }

    /// Takes thoughts or content up to the next marker, or the marker.
    fn text(&mut self, text: &str, ended: bool) -> Read<usize> {
        let format = Arc::clone(&self.format);
        if self.may_call_unmarked() {
            let spaces = text.len() - text.trim_start().len();
            if spaces > 0 {
                self.say(&text[..spaces]);
                return Ok(spaces);
            }
            if text.starts_with(['{', '[']) {
                self.state = State::Calls(CallReader::new());
                return Ok(0);
            }
        }
        match find(text, &self.marks(&format), ended) {
            (0, Some((marker, mark))) => Ok(self.act(mark, marker)),
            (0, None) => Err(Stop::More),
            (length, _) => {
                self.say(&text[..length]);
                Ok(length)
            }
        }
    }

    /// The markers that may come next.
    fn marks<'f>(&self, format: &'f Format) -> Vec<(&'f str, Mark)> {
        let mut marks: Vec<(&str, Mark)> = Vec::new();
        let reasoning = format.reasoning.as_ref();
        if let Some(reasoning) = reasoning {
            if self.thinking {
                marks.push((reasoning.close.trim(), Mark::Answer));
            } else if self.is_front || reasoning.anywhere {
                marks.push((reasoning.open.trim(), Mark::Think));
            }
        }
        // Where content begins, thoughts have ended.
        let dropped = if self.thinking { Mark::Answer } else { Mark::Drop };
        marks.extend(format.dropped.iter().map(|marker| (marker.trim(), dropped)));
        if let Some(calls) = &format.calls
            && !self.functions.is_empty()
            && self.may_call()
        {
            marks.extend(calls.openers().into_iter().map(|opener| (opener, Mark::Call)));
        }
        if let Some(channels) = &format.channels {
            marks.extend(channels.ends.iter().map(|end| (end.as_str(), Mark::End)));
            marks.push((channels.start.split_whitespace().next().unwrap_or(""), Mark::Start));
        }
        marks.retain(|(marker, _)| !marker.is_empty());
        marks
    }

    /// Whether a call may come. Thoughts that the prompt began are often not closed before it; in
    /// those that the model began itself, most models only talk of calls.
    fn may_call(&self) -> bool {
        let ends_thoughts = self.format.reasoning.as_ref().is_some_and(|r| r.ended_by_calls);
        !self.thinking || !self.thoughts_apart || self.is_prompted || ends_thoughts
    }

    fn may_call_unmarked(&self) -> bool {
        let is_unmarked = self.format.calls.as_ref().is_some_and(|c| c.openers().is_empty());
        let is_possible = is_unmarked && self.format.channels.is_none();
        is_possible && self.is_front && !self.thinking && !self.functions.is_empty()
    }

    /// Does what a marker asks for, and gives the number of bytes taken.
    fn act(&mut self, mark: Mark, marker: &str) -> usize {
        match mark {
            Mark::Think => {
                self.thinking = true;
                self.show_marker(marker);
            }
            Mark::Answer => {
                let closes = |r: &Reasoning| r.close.trim() == marker;
                if self.format.reasoning.as_ref().is_some_and(closes) || self.thoughts_apart {
                    self.show_marker(marker);
                } else {
                    self.trims = true;
                }
                self.thinking = false;
                self.is_prompted = false;
                self.is_front = true;
            }
            Mark::Call => {
                self.state = State::Calls(CallReader::new());
                return 0;
            }
            Mark::End => {
                if self.thinking {
                    self.show_marker(marker);
                }
                self.state = State::Header;
            }
            Mark::Start => {
                self.state = State::Header;
                return 0;
            }
            Mark::Drop => self.trims = true,
        }
        marker.len()
    }

    /// Drops a marker of thoughts with the white space around, or leaves it in the content.
    fn show_marker(&mut self, marker: &str) {
        if self.thoughts_apart {
            self.space.clear();
            self.trims = true;
        } else {
            self.say(marker);
        }
    }

    fn say(&mut self, text: &str) {
        let text = if self.trims { text.trim_start() } else { text };
        let said = text.trim_end();
        if !said.is_empty() {
            self.trims = false;
            self.is_front &= self.thinking;
            let space = std::mem::take(&mut self.space);
            self.emit(space + said);
        }
        self.space.push_str(&text[said.len()..]);
    }

    fn emit(&mut self, text: String) {
        if text.is_empty() {
        } else if self.thinking && self.thoughts_apart {
            self.deltas.push(Delta::Reasoning(text));
        } else {
            self.deltas.push(Delta::Content(text));
        }
    }

    fn calls(&mut self, text: &str, ended: bool) -> Read<usize> {
        let format = Arc::clone(&self.format);
        let functions = Arc::clone(&self.functions);
        let (State::Calls(reader), Some(calls)) = (&mut self.state, &format.calls) else {
            self.state = State::Text;
            return Ok(0);
        };
        let grammar = Grammar { calls, functions: &functions };
        let mut out = Out::new(&mut self.deltas, &mut self.calls);
        let result = reader.step(grammar, text, ended, &mut out);
        if out.began {
            self.space.clear();
            self.thinking = false;
        }
        match result {
            Ok(taken) => {
                if reader.is_done() {
                    if reader.invalid {
                        self.diagnostic = Some(Diagnostic::InvalidArguments);
                    }
                    self.state = State::Text;
                    self.trims = true;
                    self.is_front = true;
                }
                Ok(taken)
            }
            Err(Stop::More) => Err(Stop::More),
            Err(Stop::Broken) => {
                self.state = State::Text;
                self.diagnostic = Some(Diagnostic::NotACall);
                // Not only the marker's beginning, or else it would be found again.
                let first = text.chars().next().map_or(0, char::len_utf8);
                self.is_front = false;
                self.say(&text[..first]);
                Ok(first)
            }
        }
    }
}

/// The first marker in a text: where it is, and which. Without one, how much of the text is
/// certain to be before any.
fn find<'m>(
    text: &str,
    marks: &[(&'m str, Mark)],
    ended: bool,
) -> (usize, Option<(&'m str, Mark)>) {
    for (at, _) in text.char_indices() {
        let rest = &text[at..];
        let complete = marks.iter().filter(|(marker, _)| rest.starts_with(marker));
        let found = complete.max_by_key(|(marker, _)| marker.len());
        let known = found.map_or(0, |(marker, _)| marker.len());
        let is_prefix = |marker: &str| marker.len() > known && marker.starts_with(rest);
        if !ended && marks.iter().any(|(marker, _)| is_prefix(marker)) {
            return (at, None);
        }
        if let Some(found) = found {
            return (at, (at == 0).then_some(*found));
        }
    }
    (text.len(), None)
}

impl Answer {
    /// Adds the next part.
    pub fn add(&mut self, delta: Delta) {
        match delta {
            Delta::Content(text) => self.content += &text,
            Delta::Reasoning(text) => self.reasoning += &text,
            Delta::ToolCall { id, name, .. } => {
                let function = FunctionCall { name, arguments: String::new().into() };
                let kind = "function".into();
                self.tool_calls.push(ToolCall { id, kind, function, extra: Map::new() });
            }
            Delta::Arguments { index, fragment } => {
                let call = self.tool_calls.get_mut(index).map(|call| &mut call.function.arguments);
                if let Some(Value::String(arguments)) = call {
                    arguments.push_str(&fragment);
                }
            }
        }
    }
}

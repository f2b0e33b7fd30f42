//! Answers that are a row of messages with headers.

use std::sync::Arc;

use super::calls::{CallReader, Out};
use super::cursor::{Cursor, Read, Stop};
use super::{Diagnostic, Parser, State};
use crate::format::{ChannelKind, Channels};

/// The longest header.
const HEADER: usize = 512;

impl Parser {
    /// Takes the header of a message.
    pub(super) fn header(&mut self, text: &str, ended: bool) -> Read<usize> {
        let format = Arc::clone(&self.format);
        let Some(channels) = &format.channels else {
            self.state = State::Text;
            return Ok(0);
        };
        let mut cursor = Cursor::new(text, ended);
        match header(channels, &mut cursor) {
            Ok(header) => {
                let is_known = self.begin(channels.kind, header, &mut cursor)?;
                if !is_known || self.thinking && !self.thoughts_apart {
                    self.say(&text[self.prompted.min(cursor.at())..cursor.at()]);
                }
                self.prompted = 0;
                Ok(cursor.at())
            }
            Err(Stop::More) => Err(Stop::More),
            // No header: the text is content.
            Err(Stop::Broken) => {
                self.state = State::Text;
                self.thinking = false;
                self.prompted = 0;
                let first = text.chars().next().map_or(0, char::len_utf8);
                self.say(&text[..first]);
                Ok(first)
            }
        }
    }

    /// Begins a message with this header. Gives whether its kind is known.
    fn begin(&mut self, kind: ChannelKind, header: &str, c: &mut Cursor) -> Read<bool> {
        let recipient = header.split_once("to=").map(|(_, recipient)| {
            let end = recipient.find(|ch: char| ch.is_whitespace() || ch == '<');
            &recipient[..end.unwrap_or(recipient.len())]
        });
        let mut call = None;
        self.thinking = match kind {
            ChannelKind::Recipient => recipient == Some("self"),
            ChannelKind::Harmony => {
                call = recipient.filter(|name| *name != "assistant");
                call.is_none() && header.contains("analysis")
            }
        };
        self.state = State::Text;
        self.space.clear();
        self.trims = true;
        let Some(name) = call.filter(|_| !self.functions.is_empty()) else { return Ok(true) };
        let name = name.strip_prefix("functions.").unwrap_or(name);
        let mut after = c.clone();
        after.space();
        let is_object = match after.peek() {
            Ok(first) => first == '{',
            Err(Stop::More) => {
                self.state = State::Header;
                return Err(Stop::More);
            }
            Err(Stop::Broken) => false,
        };
        if is_object && self.functions.iter().any(|function| function.name == name) {
            *c = after;
            Out::new(&mut self.deltas, &mut self.calls).call(name, None);
            self.state = State::Calls(CallReader::arguments());
        } else {
            self.diagnostic = Some(Diagnostic::NotACall);
            return Ok(false);
        }
        Ok(true)
    }
}

/// The text between the markers of a header.
fn header<'a>(channels: &Channels, c: &mut Cursor<'a>) -> Read<&'a str> {
    c.optional(&channels.start)?;
    c.space();
    let mut first = c.clone();
    let is_marker = match first.literal("<|") {
        Ok(()) => true,
        Err(Stop::More) => return Err(Stop::More),
        Err(Stop::Broken) => false,
    };
    if !is_marker {
        c.clone().literal("to=")?;
    }
    c.until(&channels.message, HEADER)
}

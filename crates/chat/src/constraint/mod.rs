//! What an answer must look like, as a grammar for decoding.

mod arguments;
mod lark;

use std::sync::Arc;

use arguments::Writer;
use serde_json::Value;

use crate::format::{AfterName, Args, Calls, ChannelKind, Channels, Format, Named, Object, Shape};
use crate::parser::Signature;

/// A grammar for an answer, or for what follows a text in it.
#[derive(Debug, Clone)]
pub struct Constraint {
    /// The grammar begins after the first of these texts in the answer; at once if there is none.
    pub after: Vec<String>,
    /// The answer may end without any of the texts in `after`.
    pub lazy: bool,
    format: Arc<Format>,
    functions: Arc<[Signature]>,
    parallel: bool,
    /// What the prompt has already written of the first call.
    written: String,
    /// The answer may begin with thoughts, which the grammar then leaves free.
    may_think: bool,
}

impl Constraint {
    /// Calls are constrained where they begin.
    pub(crate) fn lazy(
        format: &Arc<Format>,
        functions: Arc<[Signature]>,
        parallel: bool,
    ) -> Option<Self> {
        let calls = format.calls.as_ref()?;
        let trigger = match &format.channels {
            Some(channels) if channels.kind == ChannelKind::Harmony => "to=functions.",
            _ => calls.openers().into_iter().next()?,
        };
        Some(Self {
            after: vec![trigger.to_owned()],
            lazy: true,
            format: Arc::clone(format),
            functions,
            parallel,
            written: trigger.to_owned(),
            may_think: false,
        })
    }

    /// The answer must call, after thoughts if there are any. `thinking` tells whether the prompt
    /// has begun these; `may_think`, whether the answer may; `written`, the end of the prompt.
    pub(crate) fn required(
        format: &Arc<Format>,
        functions: Arc<[Signature]>,
        parallel: bool,
        thinking: bool,
        may_think: bool,
        written: &str,
    ) -> Option<Self> {
        format.calls.as_ref()?;
        let reasoning = format.reasoning.as_ref().filter(|_| thinking);
        let after = reasoning.map(|reasoning| reasoning.close.trim().to_owned());
        Some(Self {
            lazy: false,
            may_think: may_think && after.is_none(),
            after: after.into_iter().collect(),
            format: Arc::clone(format),
            functions,
            parallel,
            written: written.to_owned(),
        })
    }

    /// The grammar, as Lark in the dialect of llguidance. `token` gives the id of a text that the
    /// vocabulary has as a special token.
    pub fn lark(&self, token: &dyn Fn(&str) -> Option<u32>) -> String {
        let mut writer = Writer::new(self.format.markers(), token);
        let start = match (&self.format.channels, &self.format.calls) {
            (Some(channels), Some(calls)) => self.channels(channels, calls, &mut writer),
            (None, Some(calls)) => self.calls(calls, &mut writer),
            (_, None) => writer.text(),
        };
        writer.finish(&start)
    }

    /// Calls with all that is around them.
    fn calls(&self, calls: &Calls, w: &mut Writer) -> String {
        let one = self.any_call(calls, w);
        let is_list = match &calls.shape {
            Shape::Object(object) => object.list,
            Shape::Named(_) => false,
            Shape::Pythonic => true,
        };
        let (open, close) = if is_list { ("[", "]") } else { ("", "") };
        let begin =
            w.literal(without(&format!("{}{open}{}", calls.open, calls.call_open), &self.written));
        let again = w.literal(&format!(
            "{}{}{}",
            calls.call_close,
            if is_list { ", " } else { "" },
            calls.call_open
        ));
        let end = w.literal(&format!("{}{close}{}", calls.call_close, calls.close));
        let more = if self.parallel { format!("({again} {one})*") } else { String::new() };
        let space = if self.lazy { "" } else { "SPACE?" };
        let calls = format!("{space} {begin} {one} {more} {end}");
        let reasoning =
            self.format.reasoning.as_ref().filter(|r| self.may_think && !r.open.is_empty());
        match reasoning {
            None => calls,
            Some(reasoning) => {
                let open = w.literal(reasoning.open.trim());
                let thoughts = w.text_until(reasoning.close.trim());
                format!("({open} {thoughts})? {calls}")
            }
        }
    }

    /// A call of any of the functions, without the markers around.
    fn any_call(&self, calls: &Calls, w: &mut Writer) -> String {
        let call = |function: &Signature| match &calls.shape {
            Shape::Object(object) => object_call(object, function, w),
            Shape::Named(named) => named_call(named, function, w),
            Shape::Pythonic => w.keywords(function),
        };
        let all: Vec<String> = self.functions.iter().map(call).collect();
        w.rule("call", &all.join(" | "))
    }

    /// A message that calls, after messages that are thoughts.
    fn channels(&self, channels: &Channels, calls: &Calls, w: &mut Writer) -> String {
        if self.lazy && channels.kind == ChannelKind::Recipient {
            return self.calls(calls, w);
        }
        let message = w.literal(&channels.message);
        let call = match channels.kind {
            ChannelKind::Recipient => {
                let names: Vec<String> =
                    self.functions.iter().map(|function| w.literal(&function.name)).collect();
                format!("\" to=\" ({}) {message} {}", names.join(" | "), self.calls(calls, w))
            }
            ChannelKind::Harmony => {
                let one = self.any_call(calls, w);
                let begin = w.literal("<|channel|>commentary to=functions.");
                if self.lazy { one } else { format!("{begin} {one}") }
            }
        };
        if self.lazy {
            return call;
        }
        let header = match channels.kind {
            ChannelKind::Recipient => " to=self",
            ChannelKind::Harmony => "<|channel|>analysis",
        };
        let begin = w.literal(&format!("{header}{}", channels.message));
        let end = channels.ends.first().map_or("", String::as_str);
        let thoughts = w.text_until(end);
        let next = w.literal(&channels.start);
        format!("({begin} {thoughts} {next})* {call}")
    }
}

/// `text` without a beginning that has been written.
fn without<'t>(text: &'t str, written: &str) -> &'t str {
    let is_there =
        |length: &usize| text.is_char_boundary(*length) && written.ends_with(&text[..*length]);
    &text[(0..=text.len()).rev().find(is_there).unwrap_or(0)..]
}

fn object_call(object: &Object, function: &Signature, w: &mut Writer) -> String {
    let name = Value::from(function.name.as_str()).to_string();
    let arguments = w.json(&function.parameters);
    let key = |key: &str| format!("{}: ", Value::from(key));
    if object.name.is_empty() {
        return format!("{} {arguments} {}", w.json_text(&format!("{{{name}: ")), w.json_text("}"));
    }
    let (before, after) = match &object.id {
        Some((id, true)) => (format!("{}ID, ", key(id)), String::new()),
        Some((id, false)) => (String::new(), format!(", {}ID", key(id))),
        None => Default::default(),
    };
    let (open, close) = match &object.wrapper {
        Some(wrapper) => (format!("{{\"type\": \"function\", {}{{", key(wrapper)), "}}"),
        None => ("{".to_owned(), "}"),
    };
    let head = format!("{open}{before}{}{name}, {}", key(&object.name), key(&object.arguments));
    format!("{} {arguments} {}", w.json_text(&head), w.json_text(&format!("{after}{close}")))
}

fn named_call(named: &Named, function: &Signature, w: &mut Writer) -> String {
    let name = w.literal(&function.name);
    let after_name = match &named.after_name {
        None => String::new(),
        Some(AfterName::Id(marker)) => format!("({} /[a-zA-Z0-9]{{9}}/)?", w.literal(marker)),
        Some(AfterName::Index) => "\":\" /[0-9]+/".to_owned(),
        Some(AfterName::Attributes) => "\"\\\"\" /[^<>\\n]*/".to_owned(),
    };
    let prefix = if named.after_name == Some(AfterName::Index) { "\"functions.\"" } else { "" };
    let between = w.literal(&named.between);
    let arguments = match &named.args {
        Args::Json => w.json(&function.parameters),
        Args::Gemma => w.gemma(&function.parameters, &function.parameters),
        Args::Tagged(tagged) => w.tagged(tagged, &function.parameters, &function.parameters),
    };
    let close = w.literal(&named.args_close);
    format!("{prefix} {name} {after_name} {between} {arguments} {close}")
}

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
            (None, Some(calls)) => self.calls(calls, &self.written, &mut writer),
            (_, None) => writer.text(),
        };
        writer.finish(&start)
    }

    /// Calls with all that is around them.
    fn calls(&self, calls: &Calls, written: &str, w: &mut Writer) -> String {
        let one = self.any_call(calls, w);
        let is_list = match &calls.shape {
            Shape::Object(object) => object.list,
            Shape::Named(_) => false,
            Shape::Pythonic => true,
        };
        let (open, close) = if is_list { ("[", "]") } else { ("", "") };
        let begin = format!("{}{open}{}", calls.open, calls.call_open);
        let begin = w.marker(without(begin.trim_start(), written));
        let comma = if is_list { "," } else { "" };
        let again = format!("{} {comma} {}", calls.call_close.trim(), calls.call_open.trim());
        let again = w.marker(again.trim());
        let end = w.marker(&format!("{} {close} {}", calls.call_close.trim(), calls.close.trim()));
        let more =
            if self.parallel { format!("(SPACE? {again} SPACE? {one})*") } else { String::new() };
        let calls = format!("SPACE? {begin} SPACE? {one} {more} SPACE? {end}");
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
        let message = w.literal(&channels.message);
        let call = match channels.kind {
            ChannelKind::Recipient => {
                let names: Vec<String> =
                    self.functions.iter().map(|function| w.literal(&function.name)).collect();
                let calls = self.calls(calls, "", w);
                format!("\" to=\" ({}) {message} {calls}", names.join(" | "))
            }
            ChannelKind::Harmony => self.harmony(&message, w),
        };
        let [next, end] = [&channels.start, &channels.ends[0]].map(|marker| w.marker(marker));
        let recipient = match (self.lazy, channels.kind) {
            (true, _) | (_, ChannelKind::Recipient) => String::new(),
            (false, ChannelKind::Harmony) => {
                format!("({} SPACE? \"commentary\")? \" to=functions.\"", w.literal("<|channel|>"))
            }
        };
        let more = match (self.parallel, channels.kind) {
            (false, _) => String::new(),
            (true, ChannelKind::Recipient) => format!("({end} {next} {call})*"),
            (true, ChannelKind::Harmony) => format!("({end} {next} \" to=functions.\" {call})*"),
        };
        let first = match (self.lazy, channels.kind) {
            (true, ChannelKind::Recipient) => self.calls(calls, &self.written, w),
            _ => call,
        };
        let calls = format!("{recipient} {first} {more}");
        if self.lazy {
            return calls;
        }
        let thought = match channels.kind {
            ChannelKind::Recipient => "\" to=self\"".to_owned(),
            ChannelKind::Harmony => format!("{} SPACE? \"analysis\"", w.literal("<|channel|>")),
        };
        let thoughts = w.text_until(&channels.ends[0]);
        format!("({thought} {message} {thoughts} {next})* {calls}")
    }

    /// A call of gpt-oss after `to=functions.`: models put the channel before or after it.
    fn harmony(&self, message: &str, w: &mut Writer) -> String {
        let [channel, constrain] = ["<|channel|>", "<|constrain|>"].map(|marker| w.literal(marker));
        let call = |function: &Signature| {
            let name = w.literal(&function.name);
            let arguments = w.json(&function.parameters);
            format!(
                "{name} ({channel} SPACE? \"commentary\")? SPACE? ({constrain} SPACE?)? \"json\"? \
                 {message} SPACE? {arguments}"
            )
        };
        let all: Vec<String> = self.functions.iter().map(call).collect();
        w.rule("call", &all.join(" | "))
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
    let id = match named.before_name.as_str() {
        "" => String::new(),
        marker => format!("/[a-zA-Z0-9_\\-]{{1,64}}/ {}", w.literal(marker)),
    };
    let prefix = if named.after_name == Some(AfterName::Index) { "\"functions.\"" } else { "" };
    let between = w.marker(&named.between);
    let arguments = match &named.args {
        Args::Json => w.json(&function.parameters),
        Args::Gemma => w.gemma(&function.parameters, &function.parameters),
        Args::Tagged(tagged) => w.tagged(tagged, &function.parameters, &function.parameters),
    };
    let close = w.marker(&named.args_close);
    format!("{id} {prefix} {name} {after_name} {between} SPACE? {arguments} SPACE? {close}")
}

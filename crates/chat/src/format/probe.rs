//! Finds out how a template writes thoughts and calls: it renders messages with texts that it can
//! tell again, and looks at what stands around them.

use serde_json::{Value, json};

use super::{AfterName, Args, Calls, Format, Named, Object, Reasoning, Shape, Tagged};
use crate::{Capabilities, Template, adapt};

const CONTENT: &str = "Contentq7";
const THOUGHT: &str = "Thoughtq7";
const NAMES: [&str; 2] = ["fnq7one", "fnq7two"];
const KEYS: [&str; 2] = ["keyq7a", "keyq7b"];
const VALUES: [&str; 2] = ["Valueq7a", "Valueq7b"];
const IDS: [&str; 2] = ["idq7abc01", "idq7abc02"];

/// The format of a template; nothing where it shows neither thoughts nor calls.
pub(crate) fn find(template: &Template, capabilities: &Capabilities) -> Option<Format> {
    let probe = Probe { template, capabilities };
    let (reasoning, mut dropped) = probe.reasoning();
    let calls = if capabilities.tool_calls { probe.calls() } else { None };
    if let Some(calls) = &calls {
        dropped.retain(|marker| !calls.openers().contains(&marker.as_str()));
    }
    let name = match calls.as_ref().map(|calls| &calls.shape) {
        None if reasoning.is_none() => return None,
        None => "content",
        Some(Shape::Object(object)) if object.list => "json-list",
        Some(Shape::Object(_)) => "json",
        Some(Shape::Named(Named { args: Args::Json, .. })) => "name-json",
        Some(Shape::Named(_)) => "tags",
        Some(Shape::Pythonic) => "pythonic",
    };
    // What ends a turn in text may be spelt out by the model.
    let stops = dropped.iter().filter(|marker| *marker == "</assistant>").cloned().collect();
    Some(Format { name, reasoning, calls, dropped, stops, channels: None })
}

struct Probe<'a> {
    template: &'a Template,
    capabilities: &'a Capabilities,
}

impl Probe<'_> {
    fn render(&self, assistant: Option<Value>, variables: Value) -> Option<String> {
        let Value::Object(mut variables) = variables else { return None };
        let user = json!({ "role": "user", "content": self.content("Hi.") });
        let messages: Vec<Value> = std::iter::once(user).chain(assistant).collect();
        adapt::add_variables(self.template, &mut variables);
        variables.insert("messages".into(), messages.into());
        self.template.render_with(&[], false, &variables).ok()
    }

    fn content(&self, text: &str) -> Value {
        match self.capabilities.text_content {
            true => text.into(),
            false => json!([{ "type": "text", "text": text }]),
        }
    }

    /// What marks thoughts, and markers around content.
    fn reasoning(&self) -> (Option<Reasoning>, Vec<String>) {
        let with = json!({
            "role": "assistant", "content": self.content(CONTENT),
            "reasoning_content": THOUGHT, "thinking": THOUGHT, "reasoning": THOUGHT,
        });
        let without = json!({ "role": "assistant", "content": self.content(CONTENT) });
        let thinks = json!({ "enable_thinking": true });
        let plain = self.render(Some(without), thinks.clone()).unwrap_or_default();
        let prompt = json!({ "enable_thinking": true, "add_generation_prompt": true });
        let prompt = self.render(None, prompt).unwrap_or_default();
        let (before, after) = plain.split_once(CONTENT).unwrap_or_default();
        let header = &before[common_prefix(&prompt, before)..];
        let mut dropped = tags(header);
        dropped.extend(tags(after));

        let thought = self.render(Some(with), thinks).unwrap_or_default();
        let mut reasoning = None;
        if let Some((before_thought, rest)) = thought.split_once(THOUGHT)
            && let Some((close, _)) = rest.split_once(CONTENT)
        {
            let mut open = last_tag(before_thought);
            // The header of the message.
            if before.trim_end().ends_with(before_thought.trim_end()) {
                open = "";
            }
            let mut closing = tags(close);
            if closing.is_empty() {
                closing.push(close.trim().to_owned());
            }
            let close = closing.remove(0);
            // A header between thoughts and content may have text between its tags.
            let header = rest.split_once(CONTENT).map_or("", |(before, _)| before);
            let header = header.split_once(close.as_str()).map_or("", |(_, header)| header);
            dropped.extend(with_texts(header));
            let open = open.to_owned();
            reasoning =
                (!close.is_empty()).then_some(Reasoning { open, close, ..Reasoning::default() });
        }
        let source = self.template.source();
        if reasoning.is_none() && source.contains("</think>") {
            let [open, close] = ["<think>", "</think>"].map(str::to_owned);
            reasoning = Some(Reasoning { open, close, ..Reasoning::default() });
        }
        if source.contains("<response>") && source.contains("</response>") {
            dropped.extend(["<response>".to_owned(), "</response>".to_owned()]);
        }
        dropped.sort();
        dropped.dedup();
        let ends = tags(after);
        dropped.retain(|marker| {
            let is_of_thoughts = |r: &Reasoning| r.open == *marker || r.close == *marker;
            ends.contains(marker) || !reasoning.as_ref().is_some_and(is_of_thoughts)
        });
        (reasoning, dropped)
    }

    /// How calls are written.
    fn calls(&self) -> Option<Calls> {
        let tools: Vec<Value> = NAMES.iter().map(|name| tool(name)).collect();
        let assistant = |content: &str, calls: Option<Value>| {
            let mut message = json!({ "role": "assistant", "content": self.content(content) });
            if let Some(calls) = calls {
                message["tool_calls"] = calls;
                if self.capabilities.null_content {
                    message["content"] = Value::Null;
                }
            }
            self.render(Some(message), json!({ "tools": tools }))
        };
        let plain = assistant(CONTENT, None)?;
        let one = assistant("", Some(self.call_list(1)))?;
        let two = assistant("", Some(self.call_list(2)));
        let start = common_prefix(&plain, &one);
        // Not within a tag.
        let start = match plain[..start].rfind(['<', '[']) {
            Some(open) if !plain[open..start].contains(['>', ']']) => open,
            _ => start,
        };
        let (_, turn_end) = plain.split_once(CONTENT)?;
        let ends = tags(turn_end);
        let body = |text: &str| {
            let text = text.get(start..)?;
            let mut end = text.len() - common_tag_suffix(text, turn_end);
            let last = text.rfind(VALUES[1])?;
            for tag in ends.iter().map(String::as_str).chain([self.template.eos_token()]) {
                let at = text[last..end].find(tag).filter(|_| !tag.is_empty());
                end = at.map_or(end, |at| last + at);
            }
            Some(text[..end].to_owned())
        };
        let one = body(&one)?;
        let two = two.as_deref().and_then(body).filter(|two| two.contains(NAMES[1]));
        object(&one, two.as_deref()).or_else(|| named(&one, two.as_deref()))
    }

    fn call_list(&self, n: usize) -> Value {
        let arguments = json!({ KEYS[0]: VALUES[0], KEYS[1]: VALUES[1] });
        let arguments = match self.capabilities.object_arguments {
            true => arguments,
            false => arguments.to_string().into(),
        };
        let call = |i: usize| {
            json!({
                "id": IDS[i], "type": "function",
                "function": { "name": NAMES[i], "arguments": arguments },
            })
        };
        (0..n).map(call).collect()
    }
}

fn tool(name: &str) -> Value {
    let text = json!({ "type": "string", "description": "A text." });
    json!({ "type": "function", "function": {
        "name": name,
        "description": "A function.",
        "parameters": { "type": "object", "properties": { KEYS[0]: text, KEYS[1]: text } },
    } })
}

/// Calls that are JSON objects.
fn object(one: &str, two: Option<&str>) -> Option<Calls> {
    let (start, end, value) = json_with(one, 0, NAMES[0])?;
    let list = value.is_array();
    let item = if list { value.get(0)? } else { &value };
    let mut shape = Object { list, ..Object::default() };
    let mut members = item.as_object()?;
    if let Some((key, Value::Object(inner))) = members
        .iter()
        .find(|(key, value)| value.is_object() && *key != NAMES[0] && value.get(KEYS[0]).is_none())
    {
        shape.wrapper = Some(key.clone());
        members = inner;
    }
    let names: Vec<&String> = members.keys().collect();
    if members.contains_key(NAMES[0]) {
        shape.name = String::new();
    } else {
        let (name, _) = members.iter().find(|(_, value)| *value == NAMES[0])?;
        shape.name = name.clone();
        let has_key = |value: &Value| value.to_string().contains(KEYS[0]);
        let (arguments, _) = members.iter().find(|(_, value)| has_key(value))?;
        shape.arguments = arguments.clone();
        // An id is a text, the only one besides the name and the type; models may count calls.
        let id = members.iter().find(|(key, value)| *value == IDS[0] || key.ends_with("_id"));
        shape.id =
            id.map(|(key, _)| (key.clone(), names.iter().position(|n| *n == key) == Some(0)));
    }
    let between = two.filter(|_| !list).and_then(|two| {
        let (_, first, _) = json_with(two, 0, NAMES[0])?;
        let (second, _, _) = json_with(two, first, NAMES[1])?;
        Some(&two[first..second])
    });
    Some(around(&one[..start], &one[end..], between, Shape::Object(shape)))
}

/// The first JSON object or list with a text in it: where it begins and ends.
fn json_with(text: &str, from: usize, needle: &str) -> Option<(usize, usize, Value)> {
    let starts = text[from..].match_indices(['{', '[']).map(|(at, _)| from + at);
    for start in starts {
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
        if let Some(Ok(value)) = values.next() {
            let end = start + values.byte_offset();
            if text[start..end].contains(needle) {
                return Some((start, end, value));
            }
        }
    }
    None
}

/// Calls that are a name and arguments.
fn named(one: &str, two: Option<&str>) -> Option<Calls> {
    let name = one.find(NAMES[0])?;
    let after_name = name + NAMES[0].len();
    let mut shape = Named::default();
    let mut open = &one[..name];
    if let Some((before, marker)) = open.split_once(IDS[0]) {
        (open, shape.before_name) = (before, marker.to_owned());
    }
    let second = two.and_then(|two| {
        let name = two.find(NAMES[1])?;
        Some((
            two,
            two[..name].rfind(IDS[1]).filter(|_| !shape.before_name.is_empty()).unwrap_or(name),
        ))
    });
    if let Some((start, end, _)) = json_with(one, after_name, KEYS[0]) {
        let mut between = &one[after_name..start];
        if let Some((marker, rest)) = between.split_once(IDS[0]) {
            shape.after_name = Some(AfterName::Id(marker.to_owned()));
            between = rest;
        }
        shape.between = between.to_owned();
        let between = second.and_then(|(two, name)| {
            let (_, end, _) = json_with(two, after_name, KEYS[0])?;
            two.get(end..name)
        });
        return Some(around(open, &one[end..], between, Shape::Named(shape)));
    }
    let place = |needle: &str, from: usize| one[from..].find(needle).map(|at| from + at);
    let keys = [place(KEYS[0], after_name)?, place(KEYS[1], after_name)?];
    let values = [place(VALUES[0], keys[0])?, place(VALUES[1], keys[1])?];
    let first = one.get(after_name..keys[0])?;
    let next = one.get(values[0] + VALUES[0].len()..keys[1])?;
    let length = common_tag_suffix(first, next);
    let key_open = &first[first.len() - length..];
    shape.between = first[..first.len() - length].to_owned();
    let value_close = &next[..next.len() - length];
    let (key_close, value_open) = match one.get(keys[0] + KEYS[0].len()..values[0])? {
        // Two tags: of the key and of the value.
        text if text.trim().matches('<').count() > 1 => text.split_at(text.find('>')? + 1),
        text => (text.trim_end(), ""),
    };
    let mut tagged = Tagged {
        key_open: key_open.trim_start().to_owned(),
        key_close: key_close.to_owned(),
        value_open: value_open.to_owned(),
        value_close: value_close.trim_end().to_owned(),
        ..Tagged::default()
    };
    let is_line = one[keys[0]..values[0]].ends_with('\n') && value_close.starts_with('\n');
    if !is_line {
        tagged.value_close = tagged.value_close.trim_start().to_owned();
    }
    if tagged.value_close.is_empty() || tagged.key_close.is_empty() {
        return None;
    }
    shape.args = Args::Tagged(tagged);
    let rest_after = |text: &str, from: usize| -> Option<usize> {
        let value = from + text[from..].find(VALUES[1])? + VALUES[1].len();
        let close = value_close.trim();
        Some(value + text[value..].find(close)? + close.len())
    };
    let end = rest_after(one, after_name)?;
    let between = second.and_then(|(two, name)| two.get(rest_after(two, after_name)?..name));
    Some(around(open, &one[end..], between, Shape::Named(shape)))
}

/// Tells markers around each call from those around all.
fn around(open: &str, close: &str, between: Option<&str>, shape: Shape) -> Calls {
    let [mut section, mut call_open] = ["", open.trim_start()];
    let [mut call_close, mut end] = [close.trim_end(), ""];
    let is_list = matches!(&shape, Shape::Object(object) if object.list);
    if is_list {
        [section, call_open, call_close, end] = [call_open, "", "", call_close];
    } else if let Some(between) = between {
        let length = common_tag_prefix(call_close, between);
        [call_close, end] = [&call_close[..length], &call_close[length..]];
        let length = common_tag_suffix(call_open, &between[length..]);
        [section, call_open] =
            [&call_open[..call_open.len() - length], &call_open[call_open.len() - length..]];
    }
    let [open, close] = [section, end].map(str::to_owned);
    let [call_open, call_close] = [call_open, call_close].map(str::to_owned);
    Calls { open, close, call_open, call_close, alternative: String::new(), shape }
}

fn common_prefix(a: &str, b: &str) -> usize {
    let same = a.char_indices().zip(b.chars()).take_while(|((_, a), b)| a == b);
    same.last().map_or(0, |((at, c), _)| at + c.len_utf8())
}

fn common_suffix(a: &str, b: &str) -> usize {
    let same = a.chars().rev().zip(b.chars().rev()).take_while(|(a, b)| a == b);
    same.map(|(c, _)| c.len_utf8()).sum()
}

/// The length of the common beginning, without a part of a tag at its end.
fn common_tag_prefix(a: &str, b: &str) -> usize {
    let length = common_prefix(a, b);
    let common = &a[..length];
    match common.rfind(['<', '[']) {
        Some(open) if length < a.len().max(b.len()) && !common[open..].contains(['>', ']']) => open,
        _ => length,
    }
}

/// The length of the common end, without a part of a tag at its beginning.
fn common_tag_suffix(a: &str, b: &str) -> usize {
    let length = common_suffix(a, b);
    let common = &a[a.len() - length..];
    match (common.find(['>', ']']), common.find(['<', '['])) {
        (Some(close), open) if open.is_none_or(|open| close < open) => length - close - 1,
        _ => length,
    }
}

/// Whether a character begins or ends a tag.
fn closing(open: char) -> char {
    if open == '<' { '>' } else { ']' }
}

/// The tag that a text ends with; empty without one.
fn last_tag(text: &str) -> &str {
    let text = text.trim_end();
    let Some(at) = text.rfind(['<', '[']) else { return "" };
    let tag = &text[at..];
    let is_tag =
        tag.chars().next().is_some_and(|open| tag.find(closing(open)) == Some(tag.len() - 1));
    if is_tag { tag } else { "" }
}

/// The tags in a text.
fn tags(text: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['<', '[']) {
        let open = rest[start..].chars().next().unwrap_or('<');
        let Some(length) = rest[start..].find(closing(open)) else { break };
        let tag = &rest[start..=start + length];
        if !tag.contains(char::is_whitespace) {
            tags.push(tag.to_owned());
        }
        rest = &rest[start + length + 1..];
    }
    tags
}

/// The tags in a text, each with what follows it up to the next.
fn with_texts(text: &str) -> Vec<String> {
    let mut starts: Vec<usize> = text.match_indices(['<', '[']).map(|(at, _)| at).collect();
    starts.push(text.len());
    starts.windows(2).map(|pair| text[pair[0]..pair[1]].trim().to_owned()).collect()
}

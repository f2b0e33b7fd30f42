//! Arguments that are not written as JSON, made JSON.

use serde_json::Value;

use super::cursor::{Cursor, Read, Stop};
use super::schema::Schema;
use crate::format::Tagged;

/// How deep values may nest.
const DEPTH: usize = 64;

const CDATA: (&str, &str) = ("<![CDATA[", "]]>");

/// The text of a value in tags, up to and over its closing tag.
pub(super) fn tagged<'a>(tagged: &Tagged, c: &mut Cursor<'a>) -> Read<&'a str> {
    if tagged.cdata {
        let before = c.clone();
        c.space();
        match c.literal(CDATA.0) {
            Ok(()) => {
                let value = c.until(CDATA.1, usize::MAX)?;
                c.marker(&tagged.value_close)?;
                return Ok(value);
            }
            Err(Stop::More) => return Err(Stop::More),
            Err(Stop::Broken) => *c = before,
        }
    }
    // A value that begins on a line of its own ends on one.
    if let Some(close) = tagged.value_close.strip_prefix('\n') {
        if c.peek()? != '\n' {
            return c.until(close, usize::MAX);
        }
        let value = c.until(&tagged.value_close, usize::MAX)?;
        return Ok(value.strip_prefix('\n').unwrap_or(value));
    }
    c.until(&tagged.value_close, usize::MAX)
}

/// A value whose objects and lists are elements, all of whose tags begin with `begin`.
pub(super) fn elements(begin: &str, text: &str, schema: Schema, depth: usize) -> String {
    let is_nested = depth < DEPTH && text.trim_start().starts_with(&format!("{begin}<"));
    if schema.is_text() || !is_nested {
        return schema.to_json(text);
    }
    let mut members: Vec<(&str, String)> = Vec::new();
    let mut rest = text.trim_start();
    while let Some(tag) = rest.strip_prefix(begin).and_then(|rest| rest.strip_prefix('<')) {
        let Some((key, after)) = tag.split_once('>') else { break };
        let Some((value, after)) = after.split_once(&format!("{begin}</{key}>")) else { break };
        let schema = schema.member(key).unwrap_or_default();
        members.push((key, elements(begin, value, schema, depth + 1)));
        rest = after.trim_start();
    }
    if !rest.is_empty() {
        return Value::from(text).to_string();
    }
    if members.iter().all(|(key, _)| *key == "item") {
        let items: Vec<String> = members.into_iter().map(|(_, value)| value).collect();
        return format!("[{}]", items.join(", "));
    }
    let quoted = |(key, value)| format!("{}: {value}", Value::from(key));
    format!("{{{}}}", members.into_iter().map(quoted).collect::<Vec<_>>().join(", "))
}

/// A whole text that is a literal of Python, as JSON.
pub(super) fn literal(text: &str) -> Option<String> {
    let mut c = Cursor::new(text.trim(), true);
    let value = python(&mut c, 0).ok()?;
    c.rest().is_empty().then_some(value)
}

/// `(key=value, …)` of Python, as a JSON object.
pub(super) fn keywords(c: &mut Cursor) -> Read<String> {
    c.space();
    if c.peek()? != '(' {
        return Err(Stop::Broken);
    }
    let mut members = Vec::new();
    c.list(0, ')', |c| {
        let key = identifier(c)?;
        c.marker("=")?;
        c.space();
        members.push(format!("{}: {}", Value::from(key), python(c, 1)?));
        Ok(())
    })?;
    Ok(format!("{{{}}}", members.join(", ")))
}

fn identifier<'a>(c: &mut Cursor<'a>) -> Read<&'a str> {
    let rest = c.rest();
    let length = rest.find(|ch: char| !ch.is_alphanumeric() && ch != '_');
    let Some(length) = length else { return c.more() };
    if length == 0 {
        return Err(Stop::Broken);
    }
    c.skip(length);
    Ok(&rest[..length])
}

/// A literal of Python, or of JSON.
fn python(c: &mut Cursor, depth: usize) -> Read<String> {
    match c.peek()? {
        '[' | '(' => {
            let close = if c.peek()? == '[' { ']' } else { ')' };
            let mut items = Vec::new();
            c.list(depth, close, |c| {
                items.push(python(c, depth + 1)?);
                Ok(())
            })?;
            Ok(format!("[{}]", items.join(", ")))
        }
        '{' => {
            let mut members = Vec::new();
            c.list(depth, '}', |c| {
                let quote = c.peek()?;
                let key = python_string(c, quote)?;
                c.marker(":")?;
                c.space();
                members.push(format!("{}: {}", Value::from(key), python(c, depth + 1)?));
                Ok(())
            })?;
            Ok(format!("{{{}}}", members.join(", ")))
        }
        quote @ ('"' | '\'') => Ok(Value::from(python_string(c, quote)?).to_string()),
        _ => Ok(word(c.scalar()?)),
    }
}

fn word(word: &str) -> String {
    match word {
        "True" => "true".into(),
        "False" => "false".into(),
        "None" => "null".into(),
        other => other.into(),
    }
}

fn python_string(c: &mut Cursor, quote: char) -> Read<String> {
    if !matches!(quote, '"' | '\'') {
        return Err(Stop::Broken);
    }
    let mut text = String::new();
    let mut chars = c.rest().char_indices();
    chars.next();
    while let Some((i, ch)) = chars.next() {
        match ch {
            '\\' => match chars.next() {
                None => return c.more(),
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, 'r')) => text.push('\r'),
                Some((at, 'u')) => {
                    let Some(digits) = c.rest().get(at + 1..at + 5) else { return c.more() };
                    let code = u32::from_str_radix(digits, 16).map_err(|_| Stop::Broken)?;
                    text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    chars.nth(3);
                }
                Some((_, other @ ('\\' | '\'' | '"'))) => text.push(other),
                Some((_, other)) => text.extend(['\\', other]),
            },
            ch if ch == quote => {
                c.skip(i + 1);
                return Ok(text);
            }
            ch => text.push(ch),
        }
    }
    c.more()
}

const GEMMA_QUOTE: &str = "<|\"|>";

/// `{key:<|"|>text<|"|>,other:[1,true]}`, as a JSON object.
pub(super) fn gemma(c: &mut Cursor) -> Read<String> {
    if c.peek()? != '{' {
        return Err(Stop::Broken);
    }
    gemma_value(c, 0)
}

fn gemma_value(c: &mut Cursor, depth: usize) -> Read<String> {
    match c.peek()? {
        '{' => {
            let mut members = Vec::new();
            c.list(depth, '}', |c| {
                let key = if c.peek()? == '<' { gemma_text(c)? } else { gemma_key(c)? };
                c.space();
                members.push(format!("{}: {}", Value::from(key), gemma_value(c, depth + 1)?));
                Ok(())
            })?;
            Ok(format!("{{{}}}", members.join(", ")))
        }
        '[' => {
            let mut items = Vec::new();
            c.list(depth, ']', |c| {
                items.push(gemma_value(c, depth + 1)?);
                Ok(())
            })?;
            Ok(format!("[{}]", items.join(", ")))
        }
        '<' => Ok(Value::from(gemma_text(c)?).to_string()),
        '"' => c.string().map(str::to_owned),
        _ => Ok(word(c.scalar()?)),
    }
}

fn gemma_text<'a>(c: &mut Cursor<'a>) -> Read<&'a str> {
    c.literal(GEMMA_QUOTE)?;
    c.until(GEMMA_QUOTE, usize::MAX)
}

fn gemma_key<'a>(c: &mut Cursor<'a>) -> Read<&'a str> {
    let key = c.until(":", 256)?;
    if key.is_empty() || key.contains(['}', '{', '\n']) { Err(Stop::Broken) } else { Ok(key) }
}

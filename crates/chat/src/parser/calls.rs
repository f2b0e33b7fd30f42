//! Reads calls out of growing text, one step at a time.
//!
//! A step takes text only when it is certain what it is, so that calls read the same however the
//! text arrives.

use serde_json::Value;

use super::cursor::{Cursor, Read, Stop};
use super::json::Json;
use super::values;
use super::{Delta, Signature};
use crate::format::{AfterName, Args, Calls, Named, Object, Shape, Tagged};

/// The longest id or attributes.
const HEADER: usize = 256;

/// Reads one section of calls.
#[derive(Debug, Clone)]
pub(super) struct CallReader {
    at: At,
    /// The calls are items of a list that has begun.
    in_list: bool,
    /// Arguments that are no JSON have been met.
    pub(super) invalid: bool,
}

#[derive(Debug, Clone)]
enum At {
    Open,
    Call,
    /// Within JSON arguments, in so many objects that belong to the call.
    Json(Json, usize),
    /// After JSON arguments in so many objects.
    Members(usize),
    /// Before a key or the end of arguments in tags; the function and the number of keys so far.
    Tags(String, usize),
    CallEnd,
    Between,
    Done,
}

/// What calls are made of: given to each step.
#[derive(Clone, Copy)]
pub(super) struct Grammar<'a> {
    pub(super) calls: &'a Calls,
    pub(super) functions: &'a [Signature],
}

/// What has been read.
#[derive(Debug)]
pub(super) struct Out<'a> {
    pub(super) deltas: &'a mut Vec<Delta>,
    /// The number of calls so far.
    pub(super) calls: &'a mut usize,
    /// A call has begun in this step.
    pub(super) began: bool,
}

impl<'a> Out<'a> {
    pub(super) fn new(deltas: &'a mut Vec<Delta>, calls: &'a mut usize) -> Self {
        Self { deltas, calls, began: false }
    }

    pub(super) fn call(&mut self, name: &str, id: Option<String>) {
        self.deltas.push(Delta::ToolCall { index: *self.calls, id, name: name.to_owned() });
        *self.calls += 1;
        self.began = true;
    }

    pub(super) fn arguments(&mut self, fragment: String) {
        if !fragment.is_empty() {
            let index = self.calls.saturating_sub(1);
            self.deltas.push(Delta::Arguments { index, fragment });
        }
    }
}

impl CallReader {
    /// Before the opening marker.
    pub(super) fn new() -> Self {
        Self { at: At::Open, in_list: false, invalid: false }
    }

    /// Before the JSON arguments of a call that has been announced.
    pub(super) fn arguments() -> Self {
        Self { at: At::Json(Json::new(), 0), ..Self::new() }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.at, At::Done)
    }

    /// Ends arguments in tags where the text ends. Gives whether the last call is complete.
    pub(super) fn finish(&mut self, out: &mut Out) -> bool {
        if let At::Tags(_, n) = self.at {
            out.arguments(if n == 0 { "{}".to_owned() } else { "}".to_owned() });
        }
        !matches!(self.at, At::Open | At::Json(..))
    }

    /// Takes the next part, and gives the number of bytes taken; otherwise nothing changes.
    pub(super) fn step(
        &mut self,
        grammar: Grammar,
        text: &str,
        ended: bool,
        out: &mut Out,
    ) -> Read<usize> {
        let in_list = self.in_list;
        let result = self.advance(grammar, text, ended, out);
        if result.is_err() {
            self.in_list = in_list;
        }
        result
    }

    fn advance(&mut self, grammar: Grammar, text: &str, ended: bool, out: &mut Out) -> Read<usize> {
        let mut cursor = Cursor::new(text, ended);
        let c = &mut cursor;
        let calls = grammar.calls;
        match std::mem::replace(&mut self.at, At::Done) {
            At::Open => {
                self.at = At::Open;
                self.open(grammar, c, out)?;
            }
            At::Call => {
                self.at = At::Call;
                c.marker(&calls.call_open)?;
                self.call(grammar, c, out)?;
            }
            At::Json(json, objects) => self.json(json, objects, c, out)?,
            At::Members(0) => self.at = At::CallEnd,
            At::Members(objects) => self.members(objects, c)?,
            At::Tags(name, n) => {
                self.at = At::Tags(name.clone(), n);
                let Shape::Named(Named { args: Args::Tagged(tagged), .. }) = &calls.shape else {
                    return Err(Stop::Broken);
                };
                self.tags(tagged, grammar, &name, n, c, out)?;
            }
            At::CallEnd => {
                self.at = At::CallEnd;
                if let Shape::Named(named) = &calls.shape {
                    c.optional(&named.args_close)?;
                }
                // A call whose end is missing is whole none the less.
                for piece in calls.call_close.split_whitespace() {
                    c.optional(piece)?;
                }
                self.at = At::Between;
            }
            At::Between => {
                self.at = At::Between;
                self.between(calls, c)?;
            }
            At::Done => {}
        }
        Ok(c.at())
    }

    fn open(&mut self, grammar: Grammar, c: &mut Cursor, out: &mut Out) -> Read<()> {
        let calls = grammar.calls;
        let mut after = c.clone();
        let markers = after.marker(&calls.open).and_then(|()| after.marker(&calls.call_open));
        let markers = match markers {
            // Without the marker around all calls, or parts of the one around each.
            Err(Stop::Broken) => {
                after = c.clone();
                match after.marker(&calls.call_open) {
                    Err(Stop::Broken) if !calls.alternative.is_empty() => {
                        after = c.clone();
                        after.marker(&calls.alternative)
                    }
                    result => result,
                }
            }
            result => result,
        };
        markers?;
        *c = after;
        self.call(grammar, c, out)
    }

    /// From after the marker of a call to where its arguments begin, or to its end.
    fn call(&mut self, grammar: Grammar, c: &mut Cursor, out: &mut Out) -> Read<()> {
        match &grammar.calls.shape {
            Shape::Object(object) => {
                if object.list && !self.in_list {
                    self.in_list = c.optional("[")?;
                }
                self.object(object, grammar, c, out)
            }
            Shape::Named(named) => self.named(named, grammar, c, out),
            Shape::Pythonic => {
                if !self.in_list {
                    c.marker("[")?;
                    self.in_list = true;
                }
                c.space();
                let name = c.one_of(grammar.names())?;
                let arguments = values::keywords(c)?;
                out.call(name, None);
                out.arguments(arguments);
                self.at = At::CallEnd;
                Ok(())
            }
        }
    }

    fn named(
        &mut self,
        named: &Named,
        grammar: Grammar,
        c: &mut Cursor,
        out: &mut Out,
    ) -> Read<()> {
        c.space();
        let mut id = None;
        if !named.before_name.is_empty() {
            id = Some(c.until(&named.before_name, HEADER)?.trim().to_owned());
            c.space();
        }
        let start = c.rest();
        if named.after_name == Some(AfterName::Index) {
            c.optional("functions.")?;
        }
        let name = c.one_of(grammar.names())?;
        match &named.after_name {
            None => c.marker(&named.between)?,
            Some(AfterName::Index) => {
                c.literal(":")?;
                let index = c.until(&named.between, HEADER)?;
                if index.is_empty() || !index.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(Stop::Broken);
                }
                let length = start.len() - c.rest().len() - named.between.len();
                id = Some(start[..length].to_owned());
            }
            Some(AfterName::Id(marker)) => {
                if c.optional(marker)? {
                    id = Some(c.until(&named.between, HEADER)?.trim().to_owned());
                } else {
                    c.marker(&named.between)?;
                }
            }
            Some(AfterName::Attributes) => {
                c.literal("\"")?;
                c.until(&named.between, HEADER)?;
            }
        }
        match &named.args {
            Args::Json => {
                c.space();
                if c.peek()? != '{' {
                    return Err(Stop::Broken);
                }
                out.call(name, id);
                self.at = At::Json(Json::new(), 0);
            }
            Args::Gemma => {
                c.space();
                let arguments = values::gemma(c)?;
                out.call(name, id);
                out.arguments(arguments);
                self.at = At::CallEnd;
            }
            Args::Tagged(_) => {
                out.call(name, id);
                self.at = At::Tags(name.to_owned(), 0);
            }
        }
        Ok(())
    }

    fn object(
        &mut self,
        object: &Object,
        grammar: Grammar,
        c: &mut Cursor,
        out: &mut Out,
    ) -> Read<()> {
        c.marker("{")?;
        let mut objects = 1;
        let (mut name, mut id, mut arguments) = (None, None, None);
        loop {
            c.space();
            let key = unquoted(c.string()?);
            c.marker(":")?;
            c.space();
            let is_object = c.peek()? == '{';
            if Some(&key) == object.wrapper.as_ref() && is_object {
                c.skip(1);
                objects += 1;
                continue;
            }
            let mut is_arguments =
                key == object.arguments || key == "parameters" || key == "arguments";
            if object.name.is_empty() {
                is_arguments = true;
                name = grammar.names().find(|name| *name == key);
            }
            if is_arguments {
                let is_ready = object.id.is_none() || id.is_some();
                if let (Some(name), true, true) = (name, is_object, is_ready) {
                    out.call(name, id);
                    self.at = At::Json(Json::new(), objects);
                    return Ok(());
                }
                arguments = Some(c.json()?.to_owned());
            } else {
                let value = c.json()?;
                if key == object.name {
                    let value = unquoted(value);
                    name = Some(grammar.names().find(|name| *name == value).ok_or(Stop::Broken)?);
                } else if object.id.as_ref().is_some_and(|(id, _)| *id == key) {
                    id = Some(if value.starts_with('"') {
                        unquoted(value)
                    } else {
                        value.to_owned()
                    });
                }
            }
            while ended(c)? {
                objects -= 1;
                if objects == 0 {
                    out.call(name.ok_or(Stop::Broken)?, id);
                    out.arguments(match arguments.as_deref() {
                        None | Some("null") => "{}".to_owned(),
                        // Some models write the object as text.
                        Some(text) if text.starts_with('"') => unquoted(text),
                        Some(json) => json.to_owned(),
                    });
                    self.at = At::CallEnd;
                    return Ok(());
                }
            }
        }
    }

    fn json(&mut self, mut json: Json, objects: usize, c: &mut Cursor, out: &mut Out) -> Read<()> {
        let mut fragment = String::new();
        let (taken, result) = json.take(c.rest(), &mut fragment);
        c.skip(taken);
        out.arguments(fragment);
        if json.is_done() {
            self.at = At::Members(objects);
        } else if result.is_err() {
            self.invalid = true;
            self.at = At::Done;
        } else {
            self.at = At::Json(json, objects);
            if taken == 0 {
                return c.more();
            }
        }
        Ok(())
    }

    /// The members of a call's object after its arguments.
    fn members(&mut self, objects: usize, c: &mut Cursor) -> Read<()> {
        self.at = At::Members(objects);
        let end = ended(c).and_then(|end| {
            if !end {
                c.space();
                c.string()?;
                c.marker(":")?;
                c.space();
                c.json()?;
            }
            Ok(end)
        });
        match end {
            Ok(end) => self.at = At::Members(objects - usize::from(end)),
            Err(Stop::More) => return Err(Stop::More),
            Err(Stop::Broken) => self.at = At::Done,
        }
        Ok(())
    }

    fn tags(
        &mut self,
        tagged: &Tagged,
        grammar: Grammar,
        name: &str,
        n: usize,
        c: &mut Cursor,
        out: &mut Out,
    ) -> Read<()> {
        let before = c.clone();
        let function = grammar.functions.iter().find(|function| function.name == name);
        let member = match member(tagged, function, c) {
            Err(Stop::More) => return Err(Stop::More),
            Err(Stop::Broken) => {
                self.invalid = true;
                None
            }
            Ok(member) => member,
        };
        if let Some(member) = member {
            out.arguments(format!("{}{member}", if n == 0 { "{" } else { ", " }));
            self.at = At::Tags(name.to_owned(), n + 1);
        } else {
            *c = before;
            out.arguments(if n == 0 { "{}".to_owned() } else { "}".to_owned() });
            self.at = At::CallEnd;
        }
        Ok(())
    }

    /// After a call: another one, or the end.
    fn between(&mut self, calls: &Calls, c: &mut Cursor) -> Read<()> {
        if self.in_list {
            if c.optional(",")? {
                self.at = At::Call;
                return Ok(());
            }
            c.optional("]")?;
            c.optional(&calls.close)?;
            self.at = At::Done;
            return Ok(());
        }
        if !calls.close.is_empty() && c.optional(&calls.close)? {
            self.at = At::Done;
            return Ok(());
        }
        let before = c.clone();
        c.optional(",")?;
        c.optional(";")?;
        let is_next = if calls.call_open.is_empty() {
            c.space();
            matches!(calls.shape, Shape::Object(_)) && c.clone().optional("{")?
        } else {
            c.clone().optional(&calls.call_open)?
        };
        if is_next {
            self.at = At::Call;
        } else {
            *c = before;
            self.at = At::Done;
        }
        Ok(())
    }
}

impl<'a> Grammar<'a> {
    fn names(self) -> impl Iterator<Item = &'a str> {
        self.functions.iter().map(|function| function.name.as_str())
    }
}

/// A key and its value in tags, as JSON; nothing where no key follows.
fn member(tagged: &Tagged, function: Option<&Signature>, c: &mut Cursor) -> Read<Option<String>> {
    let is_key = c.optional(&tagged.key_open)?;
    if !is_key || tagged.elements.is_some() && c.peek()? == '/' {
        return Ok(None);
    }
    let key = c.until(&tagged.key_close, HEADER)?;
    let key = if tagged.attributes { key.split('"').next().unwrap_or(key) } else { key };
    c.marker(&tagged.value_open)?;
    let schema = function.and_then(|function| function.argument(key)).unwrap_or_default();
    let value = match &tagged.elements {
        None => schema.to_json(values::tagged(tagged, c)?),
        Some(begin) => {
            let text = c.until(&format!("{begin}</{key}>"), usize::MAX)?;
            values::elements(begin, text, schema, 0)
        }
    };
    Ok(Some(format!("{}: {value}", Value::from(key))))
}

/// Whether an object ends here; otherwise steps over the comma.
fn ended(c: &mut Cursor) -> Read<bool> {
    c.space();
    match c.peek()? {
        '}' => {
            c.skip(1);
            Ok(true)
        }
        ',' => {
            c.skip(1);
            Ok(false)
        }
        _ => Err(Stop::Broken),
    }
}

/// The text of a JSON string.
fn unquoted(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_else(|_| json.trim_matches('"').to_owned())
}

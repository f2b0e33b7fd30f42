//! Bounds the memory that a template takes.
//!
//! minijinja counts steps, but one step may double a text. So the instructions of a template are
//! changed before they run: what makes texts and lists is followed by a function that counts their
//! bytes, and fails when a rendering has made too many.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::{self, Write};
use std::iter;

use minijinja::machinery::{CompiledTemplate, Instruction, Instructions};
use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

/// Bytes that one rendering may make, all values together.
const BYTES: usize = 1 << 26;

/// The largest width, count or repetition.
const COUNT: i64 = 1 << 20;

// No template can have these names.
const ADD: &str = "+";
const CONCAT: &str = "~";
const MULTIPLY: &str = "*";
const COUNT_VALUE: &str = "count value";
const COUNT_PARTS: &str = "count parts";

thread_local! {
    /// Bytes that may still be made by the rendering on this thread.
    static LEFT: Cell<usize> = const { Cell::new(BYTES) };
}

/// Renders from now on begin with all bytes.
pub(crate) fn reset() {
    LEFT.set(BYTES);
}

/// Adds what counted templates call.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_function(ADD, sum);
    environment.add_function(CONCAT, concat);
    environment.add_function(MULTIPLY, multiply);
    environment.add_function(COUNT_VALUE, |value: Value| spend(size(&value)).map(|()| value));
    environment.add_function(COUNT_PARTS, |value: Value| spend_written(&value).map(|()| value));
    environment.set_formatter(|out, state, value| {
        spend_written(value)?;
        minijinja::escape_formatter(out, state, value)
    });
    environment.set_unknown_method_callback(method);
    environment.add_filter("replace", replace);
    environment.add_filter("join", join);
    environment.add_filter("indent", indent);
    environment.add_filter("string", |value: Value| {
        spend_written(&value).map(|()| Value::from(value.to_string()))
    });
}

/// A template has made too much.
#[derive(Debug)]
pub(crate) struct TooMuch;

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too much text")
    }
}

impl std::error::Error for TooMuch {}

fn too_large() -> Error {
    Error::new(ErrorKind::InvalidOperation, "too much text").with_source(TooMuch)
}

pub(super) fn spend(bytes: usize) -> Result<(), Error> {
    let left = LEFT.get().checked_sub(bytes).ok_or_else(too_large)?;
    LEFT.set(left);
    Ok(())
}

/// Counts a value as it would be written, with all that is in it.
fn spend_written(value: &Value) -> Result<(), Error> {
    struct Counter;
    impl Write for Counter {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            spend(text.len()).map_err(|_| fmt::Error)
        }
    }
    match value.as_str() {
        Some(text) => spend(text.len()),
        None => write!(Counter, "{value}").map_err(|_| too_large()),
    }
}

/// The bytes of a value itself, without what it refers to.
fn size(value: &Value) -> usize {
    match value.kind() {
        ValueKind::String => value.as_str().map_or(0, str::len),
        ValueKind::Seq | ValueKind::Map => value.len().unwrap_or(0).saturating_mul(24),
        _ => 0,
    }
}

/// The sum of two values. As in Python, what is added to a text marked safe for HTML is escaped.
fn sum(state: &State, left: Value, right: Value) -> Result<Value, Error> {
    if let (Some(a), Some(b), true) =
        (left.as_str(), right.as_str(), left.is_safe() || right.is_safe())
    {
        let text = [escaped(a, left.is_safe()), escaped(b, right.is_safe())].concat();
        spend(text.len())?;
        return Ok(Value::from_safe_string(text));
    }
    if right.is_undefined() {
        let message = format!("cannot add what is undefined to {}", left.kind());
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    let sum = minijinja::filters::sum(
        state,
        Value::from(vec![right]),
        None,
        Some(left),
        iter::empty::<(String, Value)>().collect(),
    )?;
    spend(size(&sum)).map(|()| sum)
}

fn escaped(text: &str, is_safe: bool) -> Cow<'_, str> {
    if is_safe || !text.contains(['&', '<', '>', '\'', '"']) {
        return text.into();
    }
    let escapes = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&#39;"), ("\"", "&#34;")];
    let escape = |text: String, (from, to)| text.replace(from, to);
    escapes.into_iter().fold(text.to_owned(), escape).into()
}

fn concat(left: &Value, right: &Value) -> Result<Value, Error> {
    spend_written(left)?;
    spend_written(right)?;
    Ok(Value::from(format!("{left}{right}")))
}

fn multiply(left: &Value, right: &Value) -> Result<Value, Error> {
    let wrong = || {
        let kinds = format!("{} and {}", left.kind(), right.kind());
        Error::new(ErrorKind::InvalidOperation, format!("cannot multiply {kinds}"))
    };
    let (many, n) = if right.is_integer() { (left, right) } else { (right, left) };
    if let (Some(text), Some(n)) = (many.as_str(), n.as_i64()) {
        let n = usize::try_from(n).unwrap_or(0);
        spend(text.len().saturating_mul(n))?;
        return Ok(Value::from(text.repeat(n)));
    }
    if let (ValueKind::Seq, Some(n)) = (many.kind(), n.as_i64()) {
        let n = usize::try_from(n).unwrap_or(0);
        spend(size(many).saturating_mul(n))?;
        let items: Vec<Value> = many.try_iter()?.collect();
        return Ok(Value::from_iter(items.iter().cycle().take(items.len() * n).cloned()));
    }
    match (
        left.as_i64().filter(|_| left.is_integer()),
        right.as_i64().filter(|_| right.is_integer()),
    ) {
        (Some(a), Some(b)) => a.checked_mul(b).map(Value::from).ok_or_else(wrong),
        _ => {
            let [a, b] = [left, right].map(|value| f64::try_from(value.clone()));
            Ok(Value::from(a.map_err(|_| wrong())? * b.map_err(|_| wrong())?))
        }
    }
}

/// What `replace` would make: each place of the old text grows by the new one.
fn spend_replaced(text: &str, old: &str, new: &str) -> Result<(), Error> {
    let places = text.matches(old).count();
    spend(text.len().saturating_add(places.saturating_mul(new.len())))
}

fn replace(text: String, old: String, new: String) -> Result<String, Error> {
    spend_replaced(&text, &old, &new)?;
    Ok(text.replace(&old, &new))
}

fn join(list: &Value, args: Rest<Value>) -> Result<Value, Error> {
    let separator = args.first().and_then(Value::as_str).unwrap_or_default();
    spend_joined(list, separator)?;
    if list.is_undefined() || list.is_none() {
        return Ok(Value::from(""));
    }
    let mut out = String::new();
    for (i, item) in list.try_iter()?.enumerate() {
        if i > 0 {
            out.push_str(separator);
        }
        // Writing to a string does not fail.
        let _ = write!(out, "{item}");
    }
    Ok(Value::from(out))
}

fn spend_joined(list: &Value, separator: &str) -> Result<(), Error> {
    if list.is_undefined() || list.is_none() {
        return Ok(());
    }
    for item in list.try_iter()? {
        spend_written(&item)?;
        spend(separator.len())?;
    }
    Ok(())
}

/// As jinja2's: all lines but the first, and empty ones only if asked for.
fn indent(
    text: String,
    width: Option<Value>,
    first: Option<bool>,
    blank: Option<bool>,
) -> Result<String, Error> {
    let width = width.unwrap_or_else(|| Value::from(4));
    let prefix = match (width.as_str(), width.as_i64()) {
        (Some(prefix), _) => prefix.to_owned(),
        (None, Some(n)) if n <= COUNT => " ".repeat(usize::try_from(n).unwrap_or(0)),
        _ => return Err(too_large()),
    };
    spend(text.len().saturating_add(text.matches('\n').count().saturating_mul(prefix.len())))?;
    let mut out = String::new();
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push('\n');
        }
        let is_indented =
            if i == 0 { first == Some(true) } else { !line.is_empty() || blank == Some(true) };
        if is_indented {
            out.push_str(&prefix);
        }
        out.push_str(line);
    }
    Ok(out)
}

/// Python's methods, whose widths are bounded.
fn method(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    if args.iter().any(|arg| arg.as_i64().is_some_and(|n| n > COUNT)) {
        return Err(too_large());
    }
    match (name, value.as_str(), args) {
        ("replace", Some(text), [old, new, ..]) => {
            spend_replaced(
                text,
                old.as_str().unwrap_or_default(),
                new.as_str().unwrap_or_default(),
            )?;
        }
        ("join", Some(separator), [list, ..]) => spend_joined(list, separator)?,
        _ => {}
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
}

/// Makes a compiled template count what it makes.
pub(crate) fn guard(compiled: &mut CompiledTemplate<'_>) {
    compiled.instructions = guarded(&compiled.instructions);
    for block in compiled.blocks.values_mut() {
        *block = guarded(block);
    }
}

fn guarded<'s>(old: &Instructions<'s>) -> Instructions<'s> {
    let all: Vec<(Instruction<'s>, Option<usize>)> =
        (0..).map_while(|i| Some((old.get(i)?.clone(), old.get_line(i)))).collect();
    let changed: Vec<Vec<Instruction<'s>>> = all.iter().map(|(i, _)| with_count(i)).collect();
    // Where each instruction goes, for those that jump.
    let mut starts = Vec::with_capacity(all.len() + 1);
    let mut at: u32 = 0;
    for instructions in &changed {
        starts.push(at);
        at += instructions.len() as u32;
    }
    starts.push(at);
    let to = |target: u32| starts.get(target as usize).copied().unwrap_or(at);
    let mut new = Instructions::new(old.name(), old.source());
    for (instructions, (_, line)) in changed.into_iter().zip(&all) {
        for instruction in instructions {
            let instruction = match instruction {
                Instruction::Iterate(target) => Instruction::Iterate(to(target)),
                Instruction::Jump(target) => Instruction::Jump(to(target)),
                Instruction::JumpIfFalse(target) => Instruction::JumpIfFalse(to(target)),
                Instruction::JumpIfFalseOrPop(target) => Instruction::JumpIfFalseOrPop(to(target)),
                Instruction::JumpIfTrueOrPop(target) => Instruction::JumpIfTrueOrPop(to(target)),
                Instruction::BuildMacro(name, target, flags) => {
                    Instruction::BuildMacro(name, to(target), flags)
                }
                other => other,
            };
            new.add_with_line(instruction, line.map_or(0, |line| line as u16));
        }
    }
    new
}

/// An instruction, and what counts its result.
fn with_count<'s>(instruction: &Instruction<'s>) -> Vec<Instruction<'s>> {
    let this = instruction.clone();
    match instruction {
        Instruction::EmitRaw(text) => {
            vec![Instruction::LoadConst(Value::from(*text)), Instruction::Emit]
        }
        Instruction::Add => vec![Instruction::CallFunction(ADD, Some(2))],
        Instruction::StringConcat => vec![Instruction::CallFunction(CONCAT, Some(2))],
        Instruction::Mul => vec![Instruction::CallFunction(MULTIPLY, Some(2))],
        Instruction::BuildList(_) | Instruction::BuildTuple(_) | Instruction::BuildMap(_) => {
            vec![this, Instruction::CallFunction(COUNT_PARTS, Some(1))]
        }
        Instruction::Slice
        | Instruction::EndCapture
        | Instruction::ApplyFilter(..)
        | Instruction::CallFunction(..)
        | Instruction::CallMethod(..)
        | Instruction::CallObject(_) => {
            vec![this, Instruction::CallFunction(COUNT_VALUE, Some(1))]
        }
        _ => vec![this],
    }
}

use std::fmt::Write;

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use super::limits::spend;

/// How deep lists and dictionaries may nest.
const DEPTH: usize = 128;

/// `json.dumps` of Python with `ensure_ascii=False`, as Hugging Face defines
/// the filter: no HTML escapes, `", "` and `": "` between items.
///
/// Knows the arguments `ensure_ascii`, `indent`, `separators` and `sort_keys`.
pub(super) fn tojson(value: &Value, args: Rest<Value>, kwargs: Kwargs) -> Result<String, Error> {
    let mut style = Style {
        ensure_ascii: kwargs.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        sort_keys: kwargs.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        indent: indent(&kwargs.get::<Option<Value>>("indent")?.unwrap_or_default())?,
        item: String::new(),
        key: ": ".into(),
    };
    // jinja2's own filter takes the indentation first, Hugging Face's `ensure_ascii`.
    for arg in args.iter() {
        match arg.kind() {
            ValueKind::Bool => style.ensure_ascii = arg.is_true(),
            _ => style.indent = indent(arg)?,
        }
    }
    style.item = if style.indent.is_some() { ",".into() } else { ", ".into() };
    if let Some((item, key)) = separators(kwargs.get::<Option<Value>>("separators")?)? {
        (style.item, style.key) = (item, key);
    }
    kwargs.assert_all_used()?;
    let mut out = String::new();
    style.value(&mut out, value, 0)?;
    Ok(out)
}

/// What one level is indented with: so many spaces, or a string; none for `None`.
fn indent(value: &Value) -> Result<Option<String>, Error> {
    if value.is_undefined() || value.is_none() {
        return Ok(None);
    }
    if let Some(text) = value.as_str() {
        return Ok(Some(text.to_owned()));
    }
    let spaces = value.as_i64().filter(|n| *n <= 64);
    let spaces = spaces.ok_or_else(|| invalid("indent must be a string or a number up to 64"))?;
    Ok(Some(" ".repeat(usize::try_from(spaces).unwrap_or(0))))
}

/// The strings between items and after keys, from a pair of strings.
fn separators(value: Option<Value>) -> Result<Option<(String, String)>, Error> {
    let Some(pair) = value.filter(|v| !v.is_none() && !v.is_undefined()) else { return Ok(None) };
    let texts: Vec<Value> = pair.try_iter()?.take(3).collect();
    match texts.as_slice() {
        [item, key] => match (item.as_str(), key.as_str()) {
            (Some(item), Some(key)) => Ok(Some((item.to_owned(), key.to_owned()))),
            _ => Err(invalid("separators must be strings")),
        },
        _ => Err(invalid("separators must be a pair")),
    }
}

struct Style {
    ensure_ascii: bool,
    sort_keys: bool,
    indent: Option<String>,
    item: String,
    key: String,
}

impl Style {
    fn value(&self, out: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEPTH {
            return Err(invalid("nested too deeply for tojson"));
        }
        let before = out.len();
        let is_plain =
            !matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::Map);
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number if value.is_integer() => out.push_str(&value.to_string()),
            ValueKind::Number => out.push_str(&float(f64::try_from(value.clone())?)),
            ValueKind::String => self.string(out, value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => self.list(out, value, depth)?,
            ValueKind::Map => self.map(out, value, depth)?,
            kind => return Err(invalid(format!("a value of type {kind} has no JSON form"))),
        }
        spend(if is_plain { out.len() - before } else { 16 })
    }

    fn list(&self, out: &mut String, list: &Value, depth: usize) -> Result<(), Error> {
        out.push('[');
        let mut any = false;
        for item in list.try_iter()? {
            self.before_item(out, any, depth + 1);
            self.value(out, &item, depth + 1)?;
            any = true;
        }
        self.close(out, any, depth, ']');
        Ok(())
    }

    fn map(&self, out: &mut String, map: &Value, depth: usize) -> Result<(), Error> {
        let mut keys: Vec<Value> = map.try_iter()?.collect();
        if self.sort_keys {
            keys.sort();
        }
        out.push('{');
        for (i, key) in keys.iter().enumerate() {
            self.before_item(out, i > 0, depth + 1);
            match key.as_str() {
                Some(text) => self.string(out, text),
                // Python turns other scalars into strings.
                None => {
                    let mut text = String::new();
                    self.value(&mut text, key, DEPTH)?;
                    self.string(out, &text);
                }
            }
            out.push_str(&self.key);
            self.value(out, &map.get_item(key)?, depth + 1)?;
        }
        self.close(out, !keys.is_empty(), depth, '}');
        Ok(())
    }

    fn before_item(&self, out: &mut String, follows: bool, depth: usize) {
        if follows {
            out.push_str(&self.item);
        }
        self.line(out, depth);
    }

    fn close(&self, out: &mut String, any: bool, depth: usize, bracket: char) {
        if any {
            self.line(out, depth);
        }
        out.push(bracket);
    }

    fn line(&self, out: &mut String, depth: usize) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str(indent));
        }
    }

    fn string(&self, out: &mut String, text: &str) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || (self.ensure_ascii && c > '~') => escape(out, c),
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

fn escape(out: &mut String, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing to a string does not fail.
        let _ = write!(out, "\\u{unit:04x}");
    }
}

/// `repr` of a float in Python: the shortest digits that read back the same,
/// with an exponent below 1e-4 and from 1e16 on.
fn float(x: f64) -> String {
    if x.is_nan() {
        return "NaN".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    if x == 0.0 || (1e-4..1e16).contains(&x.abs()) {
        return format!("{x:?}");
    }
    let text = format!("{x:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jinja::environment;

    fn render(template: &str) -> String {
        let x = serde_json::json!({
            "b": [1, -2.5, true, null, []],
            "a": {"é\"\n": "<b>&\u{1}🦙"},
            "e": {},
        });
        let context = minijinja::context! { x => Value::from(minijinja::value::Serde(x)) };
        environment().expect("valid syntax").render_str(template, context).expect("valid template")
    }

    // The expected texts are what Python's json.dumps prints.
    #[test]
    fn as_python_prints_it() {
        assert_eq!(
            render("{{ x | tojson }}"),
            r#"{"b": [1, -2.5, true, null, []], "a": {"é\"\n": "<b>&\u0001🦙"}, "e": {}}"#
        );
        assert_eq!(
            render("{{ x | tojson(indent=2) }}"),
            "{\n  \"b\": [\n    1,\n    -2.5,\n    true,\n    null,\n    []\n  ],\n  \"a\": {\n    \
             \"é\\\"\\n\": \"<b>&\\u0001🦙\"\n  },\n  \"e\": {}\n}"
        );
        assert_eq!(
            render("{{ x.a | tojson(ensure_ascii=true) }}"),
            r#"{"\u00e9\"\n": "<b>&\u0001\ud83e\udd99"}"#
        );
        assert_eq!(
            render("{{ x | tojson(separators=(',', ':'), sort_keys=true) }}"),
            r#"{"a":{"é\"\n":"<b>&\u0001🦙"},"b":[1,-2.5,true,null,[]],"e":{}}"#
        );
    }

    #[test]
    fn floats_as_python_prints_them() {
        for (x, expected) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e-5, "1.5e-05"),
            (0.0001, "0.0001"),
            (-1e300, "-1e+300"),
            (-0.0, "-0.0"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(float(x), expected);
        }
    }

    #[test]
    fn what_has_no_form_is_an_error() {
        assert!(
            environment().expect("valid syntax").render_str("{{ nothing | tojson }}", ()).is_err()
        );
        assert!(
            environment()
                .expect("valid syntax")
                .render_str("{{ 1 | tojson(indent=1000000000) }}", ())
                .is_err()
        );
    }
}

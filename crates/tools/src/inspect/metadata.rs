//! Metadata as text.

use gguf::{Array, Metadata, Value};
use serde::Serialize;

/// Characters of a text that are shown.
const MOST_CHARS: usize = 60;
/// Items of an array that are shown.
const MOST_ITEMS: usize = 4;

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// The key.
    pub key: String,
    /// Its type, such as `u32` or `array of string`.
    #[serde(rename = "type")]
    pub ty: String,
    /// Its value, where it is long the beginning of it.
    pub value: String,
}

/// All pairs in the order of the file.
pub(super) fn pairs(metadata: &Metadata) -> Vec<Pair> {
    let pair = |(key, value): (&str, Value<'_>)| Pair {
        key: key.to_owned(),
        ty: type_name(&value),
        value: short(&value, MOST_CHARS),
    };
    metadata.iter().map(pair).collect()
}

/// The whole value of a key: texts as they are, the rest as JSON.
pub fn full_value(metadata: &Metadata, key: &str) -> Option<String> {
    Some(match metadata.get(key)? {
        Value::String(text) => text.to_owned(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        value => json(value).to_string(),
    })
}

fn json(value: Value<'_>) -> serde_json::Value {
    match value {
        Value::String(text) => text.into(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned().into(),
        Value::Array(array) => array.iter().map(json).collect(),
        Value::Bool(value) => value.into(),
        Value::F32(value) => value.into(),
        Value::F64(value) => value.into(),
        Value::U64(value) => value.into(),
        other => other.as_integer().and_then(|n| i64::try_from(n).ok()).into(),
    }
}

fn type_name(value: &Value<'_>) -> String {
    match value {
        Value::Array(array) => format!("array of {}", array.item_type()),
        other => other.ty().to_string(),
    }
}

fn short(value: &Value<'_>, most_chars: usize) -> String {
    match value {
        Value::String(text) => short_text(text, most_chars),
        Value::Bytes(bytes) => short_text(&String::from_utf8_lossy(bytes), most_chars),
        Value::Array(array) => short_array(array),
        Value::F32(number) => number.to_string(),
        other => json(*other).to_string(),
    }
}

fn short_text(text: &str, most_chars: usize) -> String {
    let mut shown: String = text.chars().take(most_chars).flat_map(char::escape_debug).collect();
    let left = text.chars().count().saturating_sub(most_chars);
    if left > 0 {
        shown += &format!("… (and {left} more characters)");
    }
    shown
}

fn short_array(array: &Array<'_>) -> String {
    let items: Vec<String> = array.iter().take(MOST_ITEMS).map(|item| short(&item, 16)).collect();
    let more = if array.len() > MOST_ITEMS { ", …" } else { "" };
    format!("[{}{more}] {} items", items.join(", "), array.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_abbreviated() {
        assert_eq!(short(&Value::String("a\nb"), 60), "a\\nb");
        assert_eq!(short(&Value::String("abcdef"), 4), "abcd… (and 2 more characters)");
        assert_eq!(short(&Value::F32(1e-5), 4), "0.00001");
        assert_eq!(short(&Value::I8(-3), 4), "-3");
    }
}

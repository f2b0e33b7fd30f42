//! Metadata: typed values by key.

use std::ops::Range;

use bytes::Bytes;

use crate::cursor::{Cursor, Short};
use crate::value::{MAX_DEPTH, Refused, Value, ValueType};
use crate::{Array, Error, Strings};

/// Most keys that are accepted; models have some dozens.
const MAX_KEYS: usize = 1 << 20;

/// Longest key of the format.
const MAX_KEY: usize = 65_535;

/// The key-value pairs of a file. Keys and values stay in the file's bytes; cloning is cheap.
#[derive(Debug, Clone)]
pub struct Metadata {
    bytes: Bytes,
    wide: bool,
    /// In the order of the file.
    entries: Vec<Entry>,
    /// Indices of `entries` in the order of keys.
    by_key: Vec<u32>,
}

/// Where one pair lies in the file.
#[derive(Debug, Clone)]
struct Entry {
    key: Range<usize>,
    ty: ValueType,
    value: Range<usize>,
}

impl Metadata {
    /// Reads `count` pairs; the cursor runs over `bytes`.
    pub(crate) fn parse(bytes: &Bytes, cursor: &mut Cursor<'_>, count: u64) -> Result<Self, Error> {
        // Length and one byte of the key, type, and the smallest value.
        let least = if cursor.wide { 8 + 1 + 4 + 1 } else { 4 + 1 + 4 + 1 };
        let limit = (cursor.left() / least).min(MAX_KEYS) as u64;
        if count > limit {
            return Err(Error::Count { what: "metadata keys", count, limit });
        }
        let mut entries = Vec::new();
        for index in 0..count {
            entries.push(read_entry(cursor, index)?);
        }
        let mut metadata =
            Self { bytes: bytes.clone(), wide: cursor.wide, entries, by_key: Vec::new() };
        let mut by_key: Vec<u32> = (0..count as u32).collect();
        by_key.sort_by_key(|&index| metadata.key(index));
        let twice = by_key.windows(2).find(|pair| metadata.key(pair[0]) == metadata.key(pair[1]));
        if let Some(pair) = twice {
            return Err(Error::DuplicateKey { key: metadata.key(pair[0]).to_owned() });
        }
        metadata.by_key = by_key;
        Ok(metadata)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<Value<'_>> {
        let at = self.by_key.binary_search_by_key(&key, |&index| self.key(index)).ok()?;
        self.value(self.by_key[at])
    }

    /// All pairs in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        (0..self.entries.len() as u32)
            .filter_map(|index| Some((self.key(index), self.value(index)?)))
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// There are no pairs.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn key(&self, index: u32) -> &str {
        // Checked when it was read.
        std::str::from_utf8(&self.bytes[self.entries[index as usize].key.clone()])
            .unwrap_or_default()
    }

    /// `Some` for every entry: it was read before.
    fn value(&self, index: u32) -> Option<Value<'_>> {
        let entry = &self.entries[index as usize];
        let mut cursor = Cursor::new(&self.bytes[entry.value.clone()], self.wide);
        Value::read(&mut cursor, entry.ty, MAX_DEPTH).ok()
    }
}

fn read_entry(cursor: &mut Cursor<'_>, index: u64) -> Result<Entry, Error> {
    let bad_key = |problem| Error::Key { index, problem };
    let key = cursor.string().map_err(|short| short.within(format!("metadata key {index}")))?;
    let key_end = cursor.position();
    if key.is_empty() {
        return Err(bad_key("is empty"));
    }
    if key.len() > MAX_KEY {
        return Err(bad_key("is longer than 65535 bytes"));
    }
    let name = std::str::from_utf8(key).map_err(|_| bad_key("is not valid UTF-8"))?;
    let within = |short: Short| short.within(format!("the value of {name}"));
    let unknown = |id| Error::ValueType { key: name.to_owned(), id };
    let id = cursor.u32().map_err(within)?;
    let ty = ValueType::from_id(id).ok_or_else(|| unknown(id))?;
    let start = cursor.position();
    Value::read(cursor, ty, MAX_DEPTH).map_err(|refused| match refused {
        Refused::Short(short) => within(short),
        Refused::Type(id) => unknown(id),
        Refused::Depth => Error::Nesting { key: name.to_owned(), limit: MAX_DEPTH },
    })?;
    Ok(Entry { key: key_end - key.len()..key_end, ty, value: start..cursor.position() })
}

/// Typed look-ups. The `opt_` forms give `None` for an absent key; all fail with
/// [`Error::WrongType`] where the value is of another type, and with [`Error::OutOfRange`] where
/// an integer does not fit. Integers of any width and sign serve as integers, `f64` as `f32`.
impl Metadata {
    /// A string, if present.
    pub fn opt_str(&self, key: &str) -> Result<Option<&str>, Error> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(value)) => Ok(Some(value)),
            Some(Value::Bytes(_)) => Err(Error::NotUtf8 { key: key.to_owned() }),
            Some(other) => Err(wrong_type(key, "string", other)),
        }
    }

    /// A boolean, if present.
    pub fn opt_bool(&self, key: &str) -> Result<Option<bool>, Error> {
        self.get(key).map(|value| as_bool(key, value)).transpose()
    }

    /// An integer that fits in `u32`, if present.
    pub fn opt_u32(&self, key: &str) -> Result<Option<u32>, Error> {
        self.get(key).map(|value| as_integer(key, "u32", value)).transpose()
    }

    /// An integer that fits in `usize`, if present.
    pub fn opt_usize(&self, key: &str) -> Result<Option<usize>, Error> {
        self.get(key).map(|value| as_integer(key, "usize", value)).transpose()
    }

    /// An integer that fits in `i64`, if present.
    pub fn opt_i64(&self, key: &str) -> Result<Option<i64>, Error> {
        self.get(key).map(|value| as_integer(key, "i64", value)).transpose()
    }

    /// A float, if present.
    pub fn opt_f32(&self, key: &str) -> Result<Option<f32>, Error> {
        self.get(key).map(|value| as_f32(key, value)).transpose()
    }

    /// A string.
    pub fn str(&self, key: &str) -> Result<&str, Error> {
        required(key, self.opt_str(key)?)
    }

    /// A boolean.
    pub fn bool(&self, key: &str) -> Result<bool, Error> {
        required(key, self.opt_bool(key)?)
    }

    /// An integer that fits in `u32`.
    pub fn u32(&self, key: &str) -> Result<u32, Error> {
        required(key, self.opt_u32(key)?)
    }

    /// An integer that fits in `usize`.
    pub fn usize(&self, key: &str) -> Result<usize, Error> {
        required(key, self.opt_usize(key)?)
    }

    /// An integer that fits in `i64`.
    pub fn i64(&self, key: &str) -> Result<i64, Error> {
        required(key, self.opt_i64(key)?)
    }

    /// A float.
    pub fn f32(&self, key: &str) -> Result<f32, Error> {
        required(key, self.opt_f32(key)?)
    }

    /// An array of strings, if present.
    pub fn strings(&self, key: &str) -> Result<Option<Strings<'_>>, Error> {
        let Some(array) = self.opt_array(key, "array of string")? else { return Ok(None) };
        let wrong = || wrong_type(key, "array of string", Value::Array(array));
        array.strings().ok_or_else(wrong).map(Some)
    }

    /// An array of integers that fit in `u32`, if present.
    pub fn u32s(&self, key: &str) -> Result<Option<Vec<u32>>, Error> {
        self.items(key, "array of u32", |value| as_integer(key, "u32", value))
    }

    /// An array of integers that are not negative, if present.
    pub fn u64s(&self, key: &str) -> Result<Option<Vec<u64>>, Error> {
        self.items(key, "array of u64", |value| as_integer(key, "u64", value))
    }

    /// An array of integers that fit in `i32`, if present.
    pub fn i32s(&self, key: &str) -> Result<Option<Vec<i32>>, Error> {
        self.items(key, "array of i32", |value| as_integer(key, "i32", value))
    }

    /// An array of floats, if present.
    pub fn f32s(&self, key: &str) -> Result<Option<Vec<f32>>, Error> {
        self.items(key, "array of f32", |value| as_f32(key, value))
    }

    /// An array of booleans, if present.
    pub fn bools(&self, key: &str) -> Result<Option<Vec<bool>>, Error> {
        self.items(key, "array of bool", |value| as_bool(key, value))
    }

    fn opt_array(&self, key: &str, expected: &'static str) -> Result<Option<Array<'_>>, Error> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(array)) => Ok(Some(array)),
            Some(other) => Err(wrong_type(key, expected, other)),
        }
    }

    fn items<'a, T>(
        &'a self,
        key: &str,
        expected: &'static str,
        convert: impl Fn(Value<'a>) -> Result<T, Error>,
    ) -> Result<Option<Vec<T>>, Error> {
        let Some(array) = self.opt_array(key, expected)? else { return Ok(None) };
        let items = array.iter().map(convert).collect::<Result<_, _>>();
        items.map(Some).map_err(|error| match error {
            Error::WrongType { .. } => wrong_type(key, expected, Value::Array(array)),
            other => other,
        })
    }
}

fn required<T>(key: &str, value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| Error::MissingKey { key: key.to_owned() })
}

fn wrong_type(key: &str, expected: &'static str, found: Value<'_>) -> Error {
    Error::WrongType { key: key.to_owned(), expected, found: found.describe() }
}

fn as_bool(key: &str, value: Value<'_>) -> Result<bool, Error> {
    match value {
        Value::Bool(value) => Ok(value),
        other => Err(wrong_type(key, "bool", other)),
    }
}

fn as_f32(key: &str, value: Value<'_>) -> Result<f32, Error> {
    value.as_f32().ok_or_else(|| wrong_type(key, "f32", value))
}

/// Converts an integer of any width.
pub(crate) fn as_integer<T: TryFrom<i128>>(
    key: &str,
    expected: &'static str,
    value: Value<'_>,
) -> Result<T, Error> {
    let integer = value.as_integer().ok_or_else(|| wrong_type(key, expected, value))?;
    let too_large = |_| Error::OutOfRange { key: key.to_owned(), value: integer, expected };
    T::try_from(integer).map_err(too_large)
}

//! Metadata values, read in place.

use std::fmt;

use crate::cursor::{Cursor, Short};

/// Deepest nesting of arrays that is accepted.
pub(crate) const MAX_DEPTH: usize = 4;

/// What an entry of a string array reads as where it is not valid UTF-8.
const REPLACEMENT: &str = "\u{fffd}";

/// Type of a metadata value; discriminants are the ids in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
#[repr(u32)]
pub enum ValueType {
    U8 = 0,
    I8 = 1,
    U16 = 2,
    I16 = 3,
    U32 = 4,
    I32 = 5,
    F32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    U64 = 10,
    I64 = 11,
    F64 = 12,
}

impl ValueType {
    /// The type with this id in files.
    pub fn from_id(id: u32) -> Option<Self> {
        use ValueType::*;
        [U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64]
            .get(usize::try_from(id).ok()?)
            .copied()
    }

    /// Name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::F32 => "f32",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Array => "array",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F64 => "f64",
        }
    }

    /// Bytes of a value; 0 where they vary.
    fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
            Self::String | Self::Array => 0,
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A metadata value, borrowed from the file.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)]
pub enum Value<'a> {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    String(&'a str),
    /// A string that is not valid UTF-8.
    Bytes(&'a [u8]),
    Array(Array<'a>),
    U64(u64),
    I64(i64),
    F64(f64),
}

impl<'a> Value<'a> {
    /// The value's type in files.
    pub fn ty(&self) -> ValueType {
        match self {
            Self::U8(_) => ValueType::U8,
            Self::I8(_) => ValueType::I8,
            Self::U16(_) => ValueType::U16,
            Self::I16(_) => ValueType::I16,
            Self::U32(_) => ValueType::U32,
            Self::I32(_) => ValueType::I32,
            Self::F32(_) => ValueType::F32,
            Self::Bool(_) => ValueType::Bool,
            Self::String(_) | Self::Bytes(_) => ValueType::String,
            Self::Array(_) => ValueType::Array,
            Self::U64(_) => ValueType::U64,
            Self::I64(_) => ValueType::I64,
            Self::F64(_) => ValueType::F64,
        }
    }

    /// The value of an integer of any width.
    pub fn as_integer(&self) -> Option<i128> {
        match *self {
            Self::U8(value) => Some(value.into()),
            Self::I8(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::I16(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::I32(value) => Some(value.into()),
            Self::U64(value) => Some(value.into()),
            Self::I64(value) => Some(value.into()),
            _ => None,
        }
    }

    /// The value of a float, rounded to `f32`.
    pub fn as_f32(&self) -> Option<f32> {
        match *self {
            Self::F32(value) => Some(value),
            Self::F64(value) => Some(value as f32),
            _ => None,
        }
    }

    /// The type in words, with the item type of an array.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Array(array) => format!("array of {}", array.item),
            Self::Bytes(_) => "string that is not valid UTF-8".to_owned(),
            value => value.ty().to_string(),
        }
    }

    /// Reads one value; arrays in it may be nested `depth` deep.
    pub(crate) fn read(
        cursor: &mut Cursor<'a>,
        ty: ValueType,
        depth: usize,
    ) -> Result<Self, Refused> {
        Ok(match ty {
            ValueType::U8 => Self::U8(u8::from_le_bytes(cursor.array()?)),
            ValueType::I8 => Self::I8(i8::from_le_bytes(cursor.array()?)),
            ValueType::U16 => Self::U16(u16::from_le_bytes(cursor.array()?)),
            ValueType::I16 => Self::I16(i16::from_le_bytes(cursor.array()?)),
            ValueType::U32 => Self::U32(u32::from_le_bytes(cursor.array()?)),
            ValueType::I32 => Self::I32(i32::from_le_bytes(cursor.array()?)),
            ValueType::F32 => Self::F32(f32::from_le_bytes(cursor.array()?)),
            ValueType::Bool => Self::Bool(cursor.array::<1>()? != [0]),
            ValueType::U64 => Self::U64(u64::from_le_bytes(cursor.array()?)),
            ValueType::I64 => Self::I64(i64::from_le_bytes(cursor.array()?)),
            ValueType::F64 => Self::F64(f64::from_le_bytes(cursor.array()?)),
            ValueType::String => {
                let bytes = cursor.string()?;
                std::str::from_utf8(bytes).map_or(Self::Bytes(bytes), Self::String)
            }
            ValueType::Array => Self::Array(Array::read(cursor, depth)?),
        })
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident),*) => {
        $(impl<'a> From<$from> for Value<'a> {
            fn from(value: $from) -> Self {
                Self::$variant(value)
            }
        })*
    };
}

from! {
    u8 => U8, i8 => I8, u16 => U16, i16 => I16, u32 => U32, i32 => I32, u64 => U64, i64 => I64,
    f32 => F32, f64 => F64, bool => Bool, &'a str => String, &'a [u8] => Bytes, Array<'a> => Array
}

/// Why a value can't be read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refused {
    /// The file ends within it.
    Short(Short),
    /// An item type id is unknown.
    Type(u32),
    /// Arrays are nested too deep.
    Depth,
}

impl From<Short> for Refused {
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

/// An array, read in place. Its extent was proven when the file was parsed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Array<'a> {
    item: ValueType,
    len: usize,
    /// All items and nothing more.
    body: &'a [u8],
    wide: bool,
}

impl<'a> Array<'a> {
    /// Walks the array to its end.
    fn read(cursor: &mut Cursor<'a>, depth: usize) -> Result<Self, Refused> {
        let Some(depth) = depth.checked_sub(1) else { return Err(Refused::Depth) };
        let id = cursor.u32()?;
        let item = ValueType::from_id(id).ok_or(Refused::Type(id))?;
        let count = cursor.size()?;
        let left = cursor.left();
        let length = if cursor.wide { 8 } else { 4 };
        let least = match item {
            ValueType::String => length,
            ValueType::Array => 4 + length,
            fixed => fixed.size(),
        };
        // Every item takes `least` bytes or more, so from here on the count fits in `usize`.
        if count > (left / least) as u64 {
            let need = count.saturating_mul(least as u64);
            return Err(Short { need, left: left as u64 }.into());
        }
        let len = count as usize;
        let mut walk = cursor.clone();
        match item {
            ValueType::String => {
                for _ in 0..len {
                    walk.string()?;
                }
            }
            ValueType::Array => {
                for _ in 0..len {
                    Self::read(&mut walk, depth)?;
                }
            }
            _ => {
                walk.take(len * least)?;
            }
        }
        let body = cursor.take(walk.position() - cursor.position())?;
        Ok(Self { item, len, body, wide: cursor.wide })
    }

    /// Type of the items.
    pub fn item_type(&self) -> ValueType {
        self.item
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.len
    }

    /// There are no items.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The items in order.
    pub fn iter(&self) -> ArrayIter<'a> {
        ArrayIter { cursor: Cursor::new(self.body, self.wide), item: self.item, left: self.len }
    }

    /// The items of an array of strings; `None` for another item type.
    pub fn strings(&self) -> Option<Strings<'a>> {
        let cursor = Cursor::new(self.body, self.wide);
        (self.item == ValueType::String).then_some(Strings(StringBytes { cursor, left: self.len }))
    }
}

impl<'a> IntoIterator for Array<'a> {
    type Item = Value<'a>;
    type IntoIter = ArrayIter<'a>;
    fn into_iter(self) -> ArrayIter<'a> {
        self.iter()
    }
}

/// Items of an [`Array`].
#[derive(Debug, Clone)]
pub struct ArrayIter<'a> {
    cursor: Cursor<'a>,
    item: ValueType,
    left: usize,
}

impl<'a> Iterator for ArrayIter<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.left = self.left.checked_sub(1)?;
        Value::read(&mut self.cursor, self.item, MAX_DEPTH).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for ArrayIter<'_> {}

/// Items of an array of strings. An item that is not valid UTF-8 reads as U+FFFD, so that it
/// doesn't make a model unusable; [`Strings::bytes`] yields what the file has.
#[derive(Debug, Clone)]
pub struct Strings<'a>(StringBytes<'a>);

impl<'a> Strings<'a> {
    /// The same items as raw bytes.
    pub fn bytes(self) -> StringBytes<'a> {
        self.0
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.0.next().map(|bytes| std::str::from_utf8(bytes).unwrap_or(REPLACEMENT))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Strings<'_> {}

/// Items of an array of strings as raw bytes.
#[derive(Debug, Clone)]
pub struct StringBytes<'a> {
    cursor: Cursor<'a>,
    left: usize,
}

impl<'a> Iterator for StringBytes<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        self.cursor.string().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for StringBytes<'_> {}

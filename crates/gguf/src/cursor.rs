//! Bounds-checked little-endian reading.

use crate::Error;

/// The bytes ended before a field did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Short {
    /// Bytes that the field needs.
    pub need: u64,
    /// Bytes that are left.
    pub left: u64,
}

impl Short {
    /// The error for a header that ends within `what`.
    pub fn within(self, what: impl Into<String>) -> Error {
        Error::TruncatedHeader { what: what.into(), need: self.need, left: self.left }
    }
}

/// A position in a header.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Counts and lengths have 64 bits (versions 2 and 3), not 32 (version 1).
    pub wide: bool,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8], wide: bool) -> Self {
        Self { bytes, at: 0, wide }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes left.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Short> {
        let rest = &self.bytes[self.at..];
        let Some((taken, _)) = rest.split_at_checked(len) else {
            return Err(Short { need: len as u64, left: rest.len() as u64 });
        };
        self.at += len;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let rest = &self.bytes[self.at..];
        let Some(array) = rest.first_chunk::<N>() else {
            return Err(Short { need: N as u64, left: rest.len() as u64 });
        };
        self.at += N;
        Ok(*array)
    }

    pub fn u32(&mut self) -> Result<u32, Short> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, Short> {
        self.array().map(u64::from_le_bytes)
    }

    /// A count, length or dimension, in the width of the file's version.
    pub fn size(&mut self) -> Result<u64, Short> {
        if self.wide { self.u64() } else { self.u32().map(u64::from) }
    }

    /// A string: its length, then its bytes.
    pub fn string(&mut self) -> Result<&'a [u8], Short> {
        let len = self.size()?;
        let left = self.left() as u64;
        // Within `left` the length fits in `usize`.
        if len > left {
            return Err(Short { need: len, left });
        }
        self.take(len as usize)
    }
}

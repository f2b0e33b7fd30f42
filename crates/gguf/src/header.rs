//! The header: everything but the tensor data.

use std::collections::HashSet;

use bytes::Bytes;

use crate::cursor::{Cursor, Short};
use crate::metadata::as_integer;
use crate::{Error, FileKind, Metadata, TensorInfo, Value};

/// Key of the alignment of tensor data.
pub(crate) const ALIGNMENT_KEY: &str = "general.alignment";

/// Alignment of tensor data where `general.alignment` is absent.
pub(crate) const DEFAULT_ALIGNMENT: usize = 32;

/// Largest alignment that is accepted.
const MAX_ALIGNMENT: usize = 1 << 20;

/// Most tensors that are accepted; models have some thousands.
const MAX_TENSORS: usize = 1 << 20;

/// Magics of the formats before GGUF, as their bytes lie in files.
const OLD_MAGICS: [([u8; 4], &str); 4] =
    [(*b"lmgg", "ggml"), (*b"fmgg", "ggmf"), (*b"tjgg", "ggjt"), (*b"algg", "ggla")];

/// Metadata and tensor descriptions of one file, whose tensor data need not be present.
#[derive(Debug, Clone)]
pub struct Header {
    version: u32,
    metadata: Metadata,
    tensors: Vec<TensorInfo>,
    alignment: usize,
    data_offset: usize,
}

impl Header {
    /// Reads the header at the start of `bytes`.
    ///
    /// # Errors
    /// Anything that is not a well-formed GGUF header; data beyond its end is not looked at.
    pub fn parse(bytes: &Bytes) -> Result<Self, Error> {
        let version = read_version(bytes)?;
        let mut cursor = Cursor::new(bytes, version > 1);
        let counts = |short: Short| short.within("the counts of tensors and keys");
        cursor.take(8).map_err(counts)?;
        let tensor_count = cursor.size().map_err(counts)?;
        let key_count = cursor.size().map_err(counts)?;

        let metadata = Metadata::parse(bytes, &mut cursor, key_count)?;
        let alignment = read_alignment(&metadata)?;
        let mut tensors = read_tensors(&mut cursor, tensor_count)?;

        // At most the length of an existing buffer plus the largest alignment.
        let data_offset = cursor.position().next_multiple_of(alignment);
        for tensor in &mut tensors {
            if !tensor.range.start.is_multiple_of(alignment) {
                return Err(Error::Misaligned {
                    tensor: tensor.name.clone(),
                    offset: tensor.range.start as u64,
                    alignment: alignment as u64,
                });
            }
            let Some(end) = tensor.range.end.checked_add(data_offset) else {
                let shape = tensor.shape.iter().map(|&len| len as u64).collect();
                return Err(Error::TooLarge { tensor: tensor.name.clone(), shape });
            };
            tensor.range = tensor.range.start + data_offset..end;
        }
        Ok(Self { version, metadata, tensors, alignment, data_offset })
    }

    /// Version of the format, 1 to 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The key-value pairs.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The tensors in the order of the file.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// Bytes of which each tensor's offset is a multiple.
    pub fn alignment(&self) -> usize {
        self.alignment
    }

    /// Where the tensor data begins in the file.
    pub fn data_offset(&self) -> usize {
        self.data_offset
    }

    /// Metadata and tensors, to own.
    pub(crate) fn into_parts(self) -> (Metadata, Vec<TensorInfo>) {
        (self.metadata, self.tensors)
    }
}

fn read_version(bytes: &[u8]) -> Result<u32, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    let Some((magic, rest)) = bytes.split_first_chunk::<4>() else {
        return Err(Error::NotGguf { kind: FileKind::of(bytes) });
    };
    if let Some((_, name)) = OLD_MAGICS.iter().find(|(old, _)| old == magic) {
        return Err(Error::OldFormat { magic: name });
    }
    if magic != b"GGUF" {
        return Err(Error::NotGguf { kind: FileKind::of(bytes) });
    }
    let Some((version, _)) = rest.split_first_chunk::<4>() else {
        let short = Short { need: 4, left: rest.len() as u64 };
        return Err(short.within("the version"));
    };
    match u32::from_le_bytes(*version) {
        version @ 1..=3 => Ok(version),
        // A small number, byte-swapped.
        found if found != 0 && found & 0xffff == 0 => Err(Error::BigEndian),
        found => Err(Error::Version { found }),
    }
}

fn read_alignment(metadata: &Metadata) -> Result<usize, Error> {
    match metadata.get(ALIGNMENT_KEY) {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(value) => check_alignment(value),
    }
}

/// The value of `general.alignment` as a usable alignment.
pub(crate) fn check_alignment(value: Value<'_>) -> Result<usize, Error> {
    let found: i64 = as_integer(ALIGNMENT_KEY, "u32", value)?;
    match usize::try_from(found) {
        Ok(alignment) if alignment.is_power_of_two() && alignment <= MAX_ALIGNMENT => Ok(alignment),
        _ => Err(Error::Alignment { found, limit: MAX_ALIGNMENT }),
    }
}

fn read_tensors(cursor: &mut Cursor<'_>, count: u64) -> Result<Vec<TensorInfo>, Error> {
    // Length of the name, number of dimensions, type, offset.
    let least = if cursor.wide { 8 + 4 + 4 + 8 } else { 4 + 4 + 4 + 8 };
    let limit = (cursor.left() / least).min(MAX_TENSORS) as u64;
    if count > limit {
        return Err(Error::Count { what: "tensors", count, limit });
    }
    let mut tensors = Vec::new();
    for index in 0..count {
        tensors.push(TensorInfo::parse(cursor, index)?);
    }
    let mut names = HashSet::with_capacity(tensors.len());
    if let Some(twice) = tensors.iter().find(|tensor| !names.insert(tensor.name.as_str())) {
        return Err(Error::DuplicateTensor { tensor: twice.name.clone() });
    }
    Ok(tensors)
}

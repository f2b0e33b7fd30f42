//! Headers of safetensors files: the length of a header in JSON, the header, the bytes of tensors
//! (<https://github.com/huggingface/safetensors#format>).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use quant::TensorType;
use serde::Deserialize;

use super::error::Error;

/// Longest header that is read, as in the format's own library.
const MAX_HEADER: u64 = 100_000_000;

/// Most dimensions of a tensor.
const MAX_DIMENSIONS: usize = 8;

/// A tensor of a file.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Name of the type of values.
    pub dtype: String,
    /// Sizes, the contiguous dimension last.
    pub shape: Vec<usize>,
    /// Where the data begins in the file.
    pub offset: u64,
}

/// A tensor as the header describes it.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    /// From and to, after the header.
    data_offsets: [u64; 2],
}

impl Stored {
    /// Number of values; no shape is accepted whose product doesn't fit.
    pub fn values(&self) -> usize {
        self.shape.iter().product()
    }

    /// The type of floats.
    pub fn float(&self) -> Option<TensorType> {
        match self.dtype.as_str() {
            "F32" => Some(TensorType::F32),
            "F16" => Some(TensorType::F16),
            "BF16" => Some(TensorType::BF16),
            _ => None,
        }
    }
}

/// Reads and checks the header: every tensor has the bytes that its shape asks for, within the file, and
/// none shares them.
pub fn read_header(path: &Path) -> Result<BTreeMap<String, Stored>, Error> {
    let failed = |error| Error::Read { path: path.to_owned(), error };
    let wrong = |what: String, expected: &str| Error::Content {
        path: path.to_owned(),
        what,
        expected: expected.into(),
    };
    let mut file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut len = [0; 8];
    file.read_exact(&mut len).map_err(failed)?;
    let len = u64::from_le_bytes(len);
    if len > MAX_HEADER || len > size.saturating_sub(8) {
        return Err(wrong(format!("a header of {len} bytes"), "one within the file"));
    }
    let mut header = vec![0; len as usize];
    file.read_exact(&mut header).map_err(failed)?;
    let mut entries: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&header)
        .map_err(|error| wrong(format!("header: {error}"), "JSON"))?;
    entries.remove("__metadata__");

    let (data_start, mut tensors, mut ranges) = (8 + len, BTreeMap::new(), Vec::new());
    for (name, entry) in entries {
        let entry = Entry::deserialize(entry)
            .map_err(|error| wrong(format!("{name}: {error}"), "dtype, shape and data_offsets"))?;
        let [from, to] = entry.data_offsets;
        if from > to || to > size - data_start {
            let what = format!("{name} has bytes {from} to {to}");
            return Err(wrong(what, &format!("bytes up to {}", size - data_start)));
        }
        let shape: Option<Vec<usize>> =
            entry.shape.iter().map(|&len| usize::try_from(len).ok()).collect();
        let Some(shape) = shape.filter(|shape| shape.len() <= MAX_DIMENSIONS) else {
            let what = format!("{name} has shape {:?}", entry.shape);
            return Err(wrong(what, "one that fits into memory"));
        };
        let stored = Stored { dtype: entry.dtype, shape, offset: data_start + from };
        if let Some(ty) = stored.float() {
            let width = ty.block_bytes() as u64;
            let needed = entry.shape.iter().try_fold(width, |bytes, &len| bytes.checked_mul(len));
            if needed != Some(to - from) {
                let what = format!("{name} of shape {:?} has {} bytes", entry.shape, to - from);
                return Err(wrong(what, "as many as its shape and type ask for"));
            }
        }
        ranges.push((from, to, name.clone()));
        tensors.insert(name, stored);
    }
    ranges.sort();
    // Tensors without values may lie anywhere.
    ranges.retain(|(from, to, _)| from < to);
    for pair in ranges.windows(2) {
        let [(_, end, first), (start, _, second)] = pair else { continue };
        if start < end {
            let what = format!("{first} and {second} share bytes");
            return Err(wrong(what, "tensors that don't overlap"));
        }
    }
    Ok(tensors)
}

//! Reading safetensors: the length of a header in JSON, the header, the bytes of tensors.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use quant::{TensorType, bf16_to_f32, f16_to_f32, f32_to_f16};
use serde::Deserialize;

use super::error::Error;

/// Longest header that is read, as in the format's own library.
const MAX_HEADER: u64 = 100_000_000;

/// An open file and what it has.
pub struct Safetensors {
    path: PathBuf,
    /// By name, in alphabetical order.
    pub tensors: BTreeMap<String, Stored>,
    data_start: u64,
}

/// A tensor as the header describes it.
#[derive(Debug, Clone, Deserialize)]
pub struct Stored {
    dtype: String,
    /// Sizes, the contiguous dimension last.
    pub shape: Vec<usize>,
    /// From and to, after the header.
    data_offsets: [u64; 2],
}

impl Stored {
    /// Number of values.
    fn len(&self) -> Option<u64> {
        self.shape.iter().try_fold(1u64, |len, &n| len.checked_mul(u64::try_from(n).ok()?))
    }

    /// Bytes per value, for floats.
    fn width(&self) -> Option<u64> {
        match self.dtype.as_str() {
            "F32" => Some(4),
            "F16" | "BF16" => Some(2),
            _ => None,
        }
    }
}

impl Safetensors {
    /// Reads and checks the header.
    pub fn open(path: &Path) -> Result<Self, Error> {
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
        if len > MAX_HEADER || len > size - 8 {
            return Err(wrong(format!("a header of {len} bytes"), "one within the file"));
        }
        let mut header = vec![0; len as usize];
        file.read_exact(&mut header).map_err(failed)?;
        let mut entries: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&header)
            .map_err(|error| wrong(format!("header: {error}"), "JSON"))?;
        entries.remove("__metadata__");
        let (data_start, mut tensors) = (8 + len, BTreeMap::new());
        for (name, entry) in entries {
            let stored = Stored::deserialize(entry).map_err(|error| {
                wrong(format!("{name}: {error}"), "dtype, shape and data_offsets")
            })?;
            let [from, to] = stored.data_offsets;
            if from > to || to > size - data_start {
                let what = format!("{name} has bytes {from} to {to}");
                return Err(wrong(what, &format!("bytes up to {}", size - data_start)));
            }
            let needed =
                stored.len().zip(stored.width()).map(|(len, width)| len.checked_mul(width));
            if needed.is_some_and(|needed| needed != Some(to - from)) {
                let what = format!("{name} of shape {:?} has {} bytes", stored.shape, to - from);
                return Err(wrong(what, "as many as its shape and type ask for"));
            }
            tensors.insert(name, stored);
        }
        Ok(Self { path: path.to_owned(), tensors, data_start })
    }

    /// Writes a tensor's values as floats of type `ty`, [`TensorType::F32`] or [`TensorType::F16`].
    pub fn write(&self, stored: &Stored, ty: TensorType, out: &mut dyn Write) -> io::Result<()> {
        let mut file = File::open(&self.path)?;
        let [from, to] = stored.data_offsets;
        file.seek(SeekFrom::Start(self.data_start + from))?;
        let mut rest = file.take(to - from);
        let mut buffer = Vec::with_capacity(1 << 16);
        loop {
            buffer.clear();
            rest.by_ref().take(1 << 16).read_to_end(&mut buffer)?;
            if buffer.is_empty() {
                return Ok(());
            }
            let halves = || buffer.as_chunks::<2>().0.iter().map(|&half| u16::from_le_bytes(half));
            let values: Vec<f32> = match stored.dtype.as_str() {
                "F16" => halves().map(f16_to_f32).collect(),
                "BF16" => halves().map(bf16_to_f32).collect(),
                _ => buffer.as_chunks::<4>().0.iter().map(|&v| f32::from_le_bytes(v)).collect(),
            };
            let bytes: Vec<u8> = match ty {
                TensorType::F16 => {
                    values.into_iter().flat_map(|v| f32_to_f16(v).to_le_bytes()).collect()
                }
                _ => values.into_iter().flat_map(f32::to_le_bytes).collect(),
            };
            out.write_all(&bytes)?;
        }
    }

    /// The tensor of that name, of floats.
    pub fn floats(&self, name: &str) -> Result<&Stored, Error> {
        let content = |what: String, expected: &str| Error::Content {
            path: self.path.clone(),
            what,
            expected: expected.into(),
        };
        let stored = self.tensors.get(name);
        let stored = stored.ok_or_else(|| content(format!("no tensor {name}"), "it"))?;
        match stored.width() {
            Some(_) => Ok(stored),
            None => Err(content(format!("{name} is {}", stored.dtype), "F32, F16 or BF16")),
        }
    }
}

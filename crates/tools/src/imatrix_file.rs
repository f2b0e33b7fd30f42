//! Files of importance matrices: how strongly each column of each weight is used.
//!
//! For a weight with `n` columns, and as many matrices as it has experts, a file holds for each
//! matrix the sums of squares of the `n` activations that it was multiplied with, and how many
//! there were. Two formats are read: GGUF, which is also written (tensors `NAME.in_sum2` of shape
//! `[n, experts]` and `NAME.counts` of shape `[1, experts]`, optionally `NAME.in_sum`; keys
//! `imatrix.datasets`, `imatrix.chunk_count`, `imatrix.chunk_size`), and the older one of llama.cpp,
//! usually named `.dat`.

mod legacy;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use gguf::{Gguf, TensorInfo, ValueType, Writer};
use quant::TensorType;
use thiserror::Error;

const DATASETS: &str = "imatrix.datasets";
const CHUNK_COUNT: &str = "imatrix.chunk_count";
const CHUNK_SIZE: &str = "imatrix.chunk_size";

const SQUARES: &str = ".in_sum2";
const SUMS: &str = ".in_sum";
const COUNTS: &str = ".counts";

/// Why a file of importances can't be read or written.
#[derive(Debug, Error)]
pub enum Error {
    /// The file can't be opened, or is not well-formed GGUF.
    #[error(transparent)]
    File(#[from] gguf::Error),
    /// The content is not that of an importance matrix.
    #[error("{}: {what}; expected an importance matrix as 'imatrix' writes it", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is there.
        what: String,
    },
    /// The file can't be written.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
}

/// What a file of importances holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImatrixFile {
    /// By name of the weight, such as `blk.0.ffn_up.weight`.
    pub entries: BTreeMap<String, Entry>,
    /// The texts that it was measured on.
    pub datasets: Vec<String>,
    /// Pieces of text that were evaluated; 0 where it is unknown.
    pub chunk_count: u32,
    /// Tokens of a piece; 0 where it is unknown.
    pub chunk_size: u32,
}

/// What is known of the inputs of one weight.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// Sums of squared activations: one for each column, for one expert after the other.
    pub squares: Vec<f32>,
    /// Sums of activations in the same order, where they were measured.
    pub sums: Option<Vec<f32>>,
    /// For each expert, over how many activations the sums go; divides `squares` evenly.
    pub counts: Vec<u64>,
}

impl Entry {
    /// Mean squares in the order of `squares`; 1 for experts that saw nothing.
    pub fn mean_squares(&self) -> Vec<f32> {
        let cols = self.squares.len() / self.counts.len().max(1);
        let experts = self.squares.chunks(cols.max(1)).zip(&self.counts);
        experts
            .flat_map(|(squares, &count)| {
                squares.iter().map(move |sum| if count > 0 { sum / count as f32 } else { 1.0 })
            })
            .collect()
    }

    fn fits(&self, other: &Self) -> bool {
        self.squares.len() == other.squares.len() && self.counts.len() == other.counts.len()
    }

    fn add(&mut self, other: &Self) {
        let add = |to: &mut [f32], from: &[f32]| to.iter_mut().zip(from).for_each(|(a, b)| *a += b);
        add(&mut self.squares, &other.squares);
        match (&mut self.sums, &other.sums) {
            (Some(sums), Some(others)) => add(sums, others),
            (sums, _) => *sums = None,
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
    }

    fn is_consistent(&self) -> bool {
        !self.counts.is_empty()
            && !self.squares.is_empty()
            && self.squares.len().is_multiple_of(self.counts.len())
            && self.sums.as_ref().is_none_or(|sums| sums.len() == self.squares.len())
    }
}

impl ImatrixFile {
    /// Adds what another file has. Weights of other sizes stay as they are; returns their names.
    #[must_use = "some weights may not fit"]
    pub fn add(&mut self, other: Self) -> Vec<String> {
        let mut different = Vec::new();
        for (name, entry) in other.entries {
            match self.entries.get_mut(&name) {
                None => _ = self.entries.insert(name, entry),
                Some(known) if known.fits(&entry) => known.add(&entry),
                Some(_) => different.push(name),
            }
        }
        self.datasets.extend(other.datasets);
        self.chunk_count = self.chunk_count.saturating_add(other.chunk_count);
        if self.chunk_size == 0 {
            self.chunk_size = other.chunk_size;
        }
        different
    }

    /// Reads a file of either format.
    ///
    /// # Errors
    /// A file that can't be read, is damaged, or holds something else.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = gguf::map(path)?;
        let wrong = |what| Error::Content { path: path.to_owned(), what };
        if bytes.starts_with(b"GGUF") {
            Self::from_gguf(bytes)?.map_err(wrong)
        } else {
            legacy::parse(&bytes).map_err(wrong)
        }
    }

    /// The inner error tells what is wrong with the content.
    fn from_gguf(bytes: Bytes) -> Result<Result<Self, String>, gguf::Error> {
        let gguf = Gguf::parse(bytes)?;
        let metadata = gguf.metadata();
        for key in [DATASETS, CHUNK_COUNT, CHUNK_SIZE] {
            if metadata.get(key).is_none() {
                return Ok(Err(format!("the key {key} is missing")));
            }
        }
        let datasets = metadata.strings(DATASETS)?.into_iter().flatten().map(str::to_owned);
        let mut file = Self {
            entries: BTreeMap::new(),
            datasets: datasets.collect(),
            chunk_count: metadata.u32(CHUNK_COUNT)?,
            chunk_size: metadata.u32(CHUNK_SIZE)?,
        };
        for tensor in gguf.tensors() {
            // Others, such as statistics, are not needed.
            for (suffix, put) in PARTS {
                if let Some(weight) = tensor.name.strip_suffix(suffix) {
                    let Some(values) = floats(&gguf, tensor) else {
                        return Ok(Err(format!("the tensor {} is not F32", tensor.name)));
                    };
                    let entry = file.entries.entry(weight.to_owned()).or_default();
                    if let Err(what) = put(entry, values) {
                        return Ok(Err(format!("{weight}: {what}")));
                    }
                }
            }
        }
        Ok(file.checked())
    }

    fn checked(self) -> Result<Self, String> {
        if self.entries.is_empty() {
            return Err("there are no sums of activations".into());
        }
        match self.entries.iter().find(|(_, entry)| !entry.is_consistent()) {
            Some((name, _)) => Err(format!("{name}: sums and counts don't fit together")),
            None => Ok(self),
        }
    }

    /// Writes a GGUF file.
    ///
    /// # Errors
    /// Output that fails.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let mut writer = Writer::new();
        writer.put("general.type", "imatrix")?;
        let datasets = self.datasets.iter().map(String::as_str);
        writer.put_array(DATASETS, ValueType::String, datasets)?;
        writer.put(CHUNK_COUNT, self.chunk_count)?;
        writer.put(CHUNK_SIZE, self.chunk_size)?;
        for (name, entry) in &self.entries {
            let experts = entry.counts.len();
            let cols = entry.squares.len() / experts.max(1);
            let counts = entry.counts.iter().map(|&count| count as f32).collect();
            let mut put = |suffix, cols, values: Vec<f32>| {
                let name = format!("{name}{suffix}");
                writer.tensor(&name, TensorType::F32, &[cols, experts], move |out| {
                    values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
                })
            };
            put(SQUARES, cols, entry.squares.clone())?;
            put(COUNTS, 1, counts)?;
            if let Some(sums) = &entry.sums {
                put(SUMS, cols, sums.clone())?;
            }
        }
        let failed = |error| Error::Write { path: path.to_owned(), error };
        let mut out = BufWriter::new(File::create(path).map_err(failed)?);
        match writer.finish(&mut out) {
            Ok(()) => out.flush().map_err(failed),
            Err(gguf::Error::Write(error)) => Err(failed(error)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Puts the values of a tensor where they belong.
type Put = fn(&mut Entry, Vec<f32>) -> Result<(), String>;

const PARTS: [(&str, Put); 3] = [
    (SQUARES, |entry, values| {
        entry.squares = values;
        Ok(())
    }),
    (SUMS, |entry, values| {
        entry.sums = Some(values);
        Ok(())
    }),
    (COUNTS, |entry, values| {
        entry.counts = values.into_iter().map(count).collect::<Result<_, _>>()?;
        Ok(())
    }),
];

fn count(value: f32) -> Result<u64, String> {
    // Beyond, floats skip whole numbers by far.
    const MOST: f32 = 1e15;
    if (0.0..MOST).contains(&value) {
        Ok(value.round() as u64)
    } else {
        Err(format!("{value} is no number of activations"))
    }
}

fn floats(gguf: &Gguf, tensor: &TensorInfo) -> Option<Vec<f32>> {
    let bytes = (tensor.ty == TensorType::F32).then(|| gguf.data(tensor))?;
    Some(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("imatrix-{}-{name}", std::process::id()))
    }

    fn sample() -> ImatrixFile {
        let dense = Entry { squares: vec![2.0, 4.0], sums: Some(vec![1.0, -1.0]), counts: vec![4] };
        let experts = Entry { squares: vec![2.0, 4.0, 0.0, 0.0], sums: None, counts: vec![2, 0] };
        ImatrixFile {
            entries: [("a".to_owned(), dense), ("b".to_owned(), experts)].into(),
            datasets: vec!["text.txt".into()],
            chunk_count: 3,
            chunk_size: 512,
        }
    }

    fn refusal(bytes: &[u8], name: &str) -> String {
        let path = temporary(name);
        std::fs::write(&path, bytes).unwrap();
        let error = ImatrixFile::read(&path).unwrap_err().to_string();
        std::fs::remove_file(path).unwrap();
        error
    }

    #[test]
    fn what_is_written_is_read_again() {
        let (file, path) = (sample(), temporary("round"));
        file.write(&path).unwrap();
        assert_eq!(ImatrixFile::read(&path).unwrap(), file);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn means_are_per_expert_and_1_where_nothing_was_seen() {
        assert_eq!(sample().entries["a"].mean_squares(), [0.5, 1.0]);
        assert_eq!(sample().entries["b"].mean_squares(), [1.0, 2.0, 1.0, 1.0]);
    }

    #[test]
    fn sums_without_counts_and_odd_counts_are_refused() {
        let mut file = sample();
        let path = temporary("odd");
        let read = |file: &ImatrixFile| {
            file.write(&path).unwrap();
            ImatrixFile::read(&path).unwrap_err().to_string()
        };
        file.entries.get_mut("a").unwrap().sums = Some(Vec::new());
        assert!(file.write(&path).is_err(), "no tensor is empty");
        let mut writer = Writer::new();
        writer.put(CHUNK_COUNT, 1u32).unwrap();
        let mut bytes = Vec::new();
        writer.finish(&mut bytes).unwrap();
        assert!(refusal(&bytes, "keyless").contains("imatrix.datasets is missing"));
        let error = read(&ImatrixFile { entries: BTreeMap::new(), ..sample() });
        assert!(error.contains("no sums"), "{error}");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn every_cut_of_a_file_is_refused() {
        let path = temporary("cut");
        sample().write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        // The end may be padding.
        for len in (0..bytes.len() - 32).step_by(7) {
            assert!(!refusal(&bytes[..len], "cut").is_empty());
        }
    }

    #[test]
    fn counts_are_whole_and_not_negative() {
        assert_eq!(count(0.0), Ok(0));
        assert_eq!(count(511.6), Ok(512));
        for odd in [-1.0, f32::NAN, f32::INFINITY, 1e30] {
            assert!(count(odd).is_err(), "{odd}");
        }
    }
}

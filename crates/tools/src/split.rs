//! A model over several files, as llama.cpp's `llama-gguf-split` makes them, and back.
//!
//! Files are named `PREFIX-00001-of-0000N.gguf`. The first has all metadata; all have the keys
//! `split.no`, `split.count` and `split.tensors.count`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use gguf::{Gguf, TensorInfo, Writer};

use crate::Error;
use crate::output::{self, Watched};

/// What the keys of split models begin with.
const PREFIX: &str = "split.";

/// Alignment of tensors in files that don't have another one.
const ALIGNMENT: u64 = 32;

/// Most files, by the type of `split.count`.
const MOST_FILES: usize = u16::MAX as usize;

/// Where one file ends and the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// After so many tensors, at least 1.
    Tensors(usize),
    /// Before so many bytes of tensors are exceeded. A larger tensor has a file of its own.
    Bytes(u64),
}

impl Default for Limit {
    fn default() -> Self {
        Self::Tensors(128)
    }
}

/// One file of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// The file.
    pub path: PathBuf,
    /// Which of the model's tensors it has.
    pub tensors: Range<usize>,
    /// Bytes of these.
    pub bytes: u64,
}

/// How to spread a model over files that begin with `prefix`.
///
/// # Errors
/// More files than the format can count.
pub fn plan(
    model: &Gguf,
    prefix: &Path,
    limit: Limit,
    no_tensor_first: bool,
) -> Result<Vec<Shard>, Error> {
    let sizes: Vec<u64> = model.tensors().iter().map(padded).collect();
    let mut ranges = Vec::new();
    if no_tensor_first {
        ranges.push(0..0);
    }
    let (mut start, mut bytes) = (0, 0);
    for (at, size) in sizes.iter().enumerate() {
        let full = match limit {
            Limit::Tensors(most) => at % most.max(1) == 0,
            Limit::Bytes(most) => bytes + size > most,
        };
        if full && at > start {
            ranges.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    ranges.push(start..sizes.len());
    let count = ranges.len();
    if count > MOST_FILES {
        return Err(Error::TooManyFiles { count, limit: MOST_FILES });
    }
    let shards = ranges.into_iter().enumerate().map(|(no, tensors)| Shard {
        path: path(prefix, no, count),
        bytes: model.tensors()[tensors.clone()].iter().map(|t| t.size() as u64).sum(),
        tensors,
    });
    Ok(shards.collect())
}

/// Writes the files of a plan. `progress` is told the bytes that are written and that will be.
///
/// # Errors
/// Files that can't be written.
pub fn split(
    model: &Gguf,
    shards: &[Shard],
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Error> {
    let total = shards.iter().map(|shard| shard.bytes).sum();
    let mut before = 0;
    for (no, shard) in shards.iter().enumerate() {
        let mut writer = Writer::new();
        if no == 0 {
            put_metadata(&mut writer, model)?;
        }
        // `plan` made sure that numbers of files fit.
        writer.put("split.no", no as u16)?;
        writer.put("split.tensors.count", model.tensors().len() as i32)?;
        writer.put("split.count", shards.len() as u16)?;
        put_tensors(&mut writer, model, shard.tensors.clone())?;
        write(writer, &shard.path, shard.bytes, &mut |done, _| progress(before + done, total))?;
        before += shard.bytes;
    }
    Ok(())
}

/// Joins the files of a model in one.
///
/// # Errors
/// A file that can't be written.
pub fn merge(model: &Gguf, path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Error> {
    let mut writer = Writer::new();
    put_metadata(&mut writer, model)?;
    put_tensors(&mut writer, model, 0..model.tensors().len())?;
    let total = model.tensors().iter().map(|tensor| tensor.size() as u64).sum();
    write(writer, path, total, progress)
}

/// All keys but those of split models.
fn put_metadata(writer: &mut Writer<'_>, model: &Gguf) -> Result<(), Error> {
    for (key, value) in model.metadata().iter().filter(|(key, _)| !key.starts_with(PREFIX)) {
        writer.put(key, value)?;
    }
    Ok(())
}

fn put_tensors<'a>(
    writer: &mut Writer<'a>,
    model: &'a Gguf,
    tensors: Range<usize>,
) -> Result<(), Error> {
    for tensor in &model.tensors()[tensors] {
        let data = move |out: &mut dyn std::io::Write| out.write_all(&model.data(tensor));
        writer.tensor(&tensor.name, tensor.ty, &tensor.shape, data)?;
    }
    Ok(())
}

fn write(
    writer: Writer<'_>,
    path: &Path,
    bytes: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Error> {
    output::write_file(path, |out| Ok(writer.finish(&mut Watched::new(out, bytes, progress))?))
}

fn padded(tensor: &TensorInfo) -> u64 {
    (tensor.size() as u64).next_multiple_of(ALIGNMENT)
}

/// The name of a file, counted from 0.
fn path(prefix: &Path, no: usize, count: usize) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(format!("-{:05}-of-{count:05}.gguf", no + 1));
    name.into()
}

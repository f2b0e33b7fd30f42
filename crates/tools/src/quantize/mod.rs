//! From a model file of 16 or 32 bits to one of fewer, as `llama-quantize` does it.
//!
//! [`plan`] tells what would become of each tensor; [`run`] writes the file. Tensors are read, encoded
//! by several threads and written in parts, so that no more than some megabytes are in memory.
//! Types, order and metadata are llama.cpp's, and so are the bytes of the file, but for the
//! types whose encoder searches a lattice (`IQ1_*`, `IQ2_*`, `IQ3_*`), which differ in places.

mod error;
mod importance;
mod metadata;
mod pipeline;
mod plan;
mod recipe;
mod role;
mod target;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use fancy_regex::Regex;
use gguf::{Metadata, Writer};
pub use quant::TensorType;

pub use error::Error;
pub use importance::{Importance, Selection};
use metadata::Pairs;
pub use metadata::Replacement;
use pipeline::Pipeline;
pub use plan::Planned;
pub(crate) use role::is_quantised;
pub use target::{FileType, TARGETS, Target};

use crate::convert;
use crate::output::write_file;
use crate::weights::Weights;

/// Version of the encodings, in `general.quantization_version`.
pub(crate) const ENCODINGS: u32 = 2;

/// What shall become of a model.
#[derive(Debug)]
pub struct Options {
    /// The kind of file.
    pub target: &'static Target,
    /// What columns matter.
    pub importance: Option<Importance>,
    /// Type of the output matrix.
    pub output_type: Option<TensorType>,
    /// Type of the token embedding.
    pub embedding_type: Option<TensorType>,
    /// Types by name; the first that matches counts.
    pub overrides: Vec<Override>,
    /// All matrices get the target's base type.
    pub pure: bool,
    /// The output matrix stays as it is.
    pub leave_output: bool,
    /// Write as many shards as there were.
    pub keep_split: bool,
    /// Take weights that are quantised already.
    pub allow_requantise: bool,
    /// Metadata to replace or add.
    pub metadata: Vec<(String, Replacement)>,
    /// Layers to leave out.
    pub prune: BTreeSet<usize>,
    /// Threads that encode; `None` is one for each fast core.
    pub threads: Option<NonZero<usize>>,
}

impl Options {
    /// The plain target.
    pub fn new(target: &'static Target) -> Self {
        Self {
            target,
            importance: None,
            output_type: None,
            embedding_type: None,
            overrides: Vec::new(),
            pure: false,
            leave_output: false,
            keep_split: false,
            allow_requantise: false,
            metadata: Vec::new(),
            prune: BTreeSet::new(),
            threads: None,
        }
    }
}

/// A type for tensors whose name matches a pattern.
#[derive(Debug)]
pub struct Override {
    pattern: Regex,
    ty: TensorType,
}

impl Override {
    /// Reads `PATTERN=TYPE`; the pattern is a regular expression, matched anywhere in the name.
    pub fn parse(text: &str) -> Option<Self> {
        let (pattern, ty) = text.split_once('=')?;
        if pattern.is_empty() {
            return None;
        }
        let pattern = Regex::new(&pattern.to_lowercase()).ok()?;
        Some(Self { pattern, ty: TensorType::from_name(ty)? })
    }

    /// A pattern that takes too long does not match.
    fn matches(&self, name: &str) -> bool {
        self.pattern.is_match(name).unwrap_or(false)
    }
}

/// What becomes of each tensor, in the order of the output.
///
/// # Errors
/// A model that can't be read, or can't become what is asked for.
pub fn plan(input: &Path, options: &Options) -> Result<Vec<Planned>, Error> {
    let weights = read(input)?;
    let pairs = pairs(&weights.metadata, options);
    Ok(plan::plan(&weights, &pairs, options)?.0)
}

/// Writes the quantised model to `output`, or to shards named after it. A file appears under its name
/// when it is complete. The input is a model file, or a folder that [`crate::convert`] takes.
/// `progress` is told the bytes of weights that are written and that will be. The result is what became
/// of each tensor.
///
/// # Errors
/// A model that can't be read, weights that are not finite, what is asked for is not possible, or
/// output that fails.
pub fn run(
    input: &Path,
    output: &Path,
    options: &Options,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Planned>, Error> {
    let weights = read(input)?;
    let mut pairs = pairs(&weights.metadata, options);
    let (tensors, layers_left) = plan::plan(&weights, &pairs, options)?;
    if let Some(missing) = tensors.iter().find(|tensor| tensor.requires_importance) {
        return Err(Error::NeedsImportance { tensor: missing.name.clone(), ty: missing.to });
    }
    if let Some(left) = layers_left {
        let key = metadata::block_count(&pairs.traits());
        pairs.set(&key, Replacement::Integer(left as u32));
    }

    let count = if options.keep_split { weights.shards } else { 1 };
    let paths: Vec<PathBuf> = (0..count).map(|no| shard_path(output, no, count)).collect();
    let put = |no: usize, writer: &mut Writer<'_>| {
        if no == 0 {
            pairs.write(writer)?;
        }
        if count > 1 {
            writer.put(metadata::SPLIT_NO, no as u16)?;
            writer.put(metadata::SPLIT_COUNT, count as u16)?;
            writer.put(metadata::SPLIT_TENSORS, tensors.len() as i32)?;
        }
        Ok(())
    };
    write(&weights.files, &tensors, &paths, put, options.threads, progress)?;
    Ok(tensors)
}

/// A model file or a folder.
fn read(input: &Path) -> Result<Weights, Error> {
    match input.is_dir() {
        true => convert::read(input, &convert::Options::default()).map_err(Error::Folder),
        false => Ok(Weights::of_file(input)?),
    }
}

/// Encodes tensors and writes them to files, those of each shard to its own. `put` adds the metadata of
/// a shard.
pub(crate) fn write(
    files: &[PathBuf],
    tensors: &[Planned],
    paths: &[PathBuf],
    put: impl Fn(usize, &mut Writer<'_>) -> Result<(), gguf::Error>,
    threads: Option<NonZero<usize>>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Error> {
    for path in paths {
        if files.iter().any(|source| is_same_file(source, path)) {
            return Err(Error::SameFile { path: path.clone() });
        }
    }
    let total = tensors.iter().map(|tensor| tensor.to_bytes).sum();
    let threads = threads.map_or_else(cpu::topology::default_threads, NonZero::get);
    std::thread::scope(|scope| {
        let pipeline = Pipeline::start(scope, tensors, files, threads, total, progress);
        for (no, path) in paths.iter().enumerate() {
            let mut writer = Writer::new();
            put(no, &mut writer)?;
            let is_here = |tensor: &&Planned| paths.len() == 1 || tensor.source.shard == no;
            for tensor in tensors.iter().filter(is_here) {
                let pipeline = &pipeline;
                writer.tensor(&tensor.name, tensor.to, &tensor.shape, |out| pipeline.write(out))?;
            }
            write_file(path, |out| Ok(writer.finish(out)?))
                .map_err(|error| pipeline.failure().unwrap_or(error))?;
        }
        Ok(())
    })
}

/// The metadata of the output, but for the number of layers.
fn pairs<'a>(input: &'a Metadata, options: &Options) -> Pairs<'a> {
    let mut pairs = Pairs::new(input);
    let file_type = match options.target.file_type {
        Some(file_type) => Some(file_type as u32),
        None => input
            .get(metadata::FILE_TYPE)
            .as_ref()
            .and_then(|value| value.as_integer().and_then(|number| u32::try_from(number).ok())),
    };
    pairs.set(metadata::VERSION, Replacement::Integer(ENCODINGS));
    if let Some(file_type) = file_type {
        pairs.set(metadata::FILE_TYPE, Replacement::Integer(file_type));
    }
    for (key, value) in &options.metadata {
        pairs.set(key, value.clone());
    }
    for (key, value) in options.importance.iter().flat_map(Importance::metadata) {
        pairs.set(key, value);
    }
    pairs
}

/// `output` itself for one file; `NAME-00001-of-00003.gguf` and so on for more.
fn shard_path(output: &Path, no: usize, count: usize) -> PathBuf {
    if count == 1 {
        return output.to_owned();
    }
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".gguf").unwrap_or(&name);
    output.with_file_name(format!("{name}-{:05}-of-{count:05}.gguf", no + 1))
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

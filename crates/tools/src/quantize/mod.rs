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
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};

use fancy_regex::Regex;
use gguf::{Gguf, Writer};
pub use quant::TensorType;

pub use error::Error;
pub use importance::{Importance, Selection};
use metadata::Pairs;
pub use metadata::Replacement;
use pipeline::Pipeline;
pub use plan::Planned;
pub use target::{FileType, TARGETS, Target};

/// Version of the encodings, in `general.quantization_version`.
const ENCODINGS: u32 = 2;

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
    let gguf = Gguf::open(input)?;
    let pairs = pairs(&gguf, options);
    Ok(plan::plan(&gguf, &pairs, options)?.0)
}

/// Writes the quantised model to `output`, or to shards named after it. A file appears under its name
/// when it is complete. `progress` is told the bytes of weights that are written and that will be.
/// The result is what became of each tensor.
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
    let gguf = Gguf::open(input)?;
    let mut pairs = pairs(&gguf, options);
    let (tensors, layers_left) = plan::plan(&gguf, &pairs, options)?;
    if let Some(missing) = tensors.iter().find(|tensor| tensor.requires_importance) {
        return Err(Error::NeedsImportance { tensor: missing.name.clone(), ty: missing.to });
    }
    if let Some(left) = layers_left {
        let key = metadata::block_count(&pairs.traits());
        pairs.set(&key, Replacement::Integer(left as u32));
    }

    let count = if options.keep_split { gguf.paths().len() } else { 1 };
    let paths: Vec<PathBuf> = (0..count).map(|no| shard_path(output, no, count)).collect();
    for path in &paths {
        if gguf.paths().any(|source| is_same_file(source, path)) {
            return Err(Error::SameFile { path: path.clone() });
        }
    }
    let total = tensors.iter().map(|tensor| tensor.to_bytes).sum();
    let threads = options.threads.map_or_else(cpu::topology::default_threads, NonZero::get);
    let sources: Vec<&Path> = gguf.paths().collect();
    std::thread::scope(|scope| -> Result<(), Error> {
        let pipeline = Pipeline::start(scope, &tensors, &sources, threads, total, progress);
        for (no, path) in paths.iter().enumerate() {
            let mut writer = Writer::new();
            if no == 0 {
                pairs.write(&mut writer)?;
            }
            if count > 1 {
                writer.put(metadata::SPLIT_NO, no as u16)?;
                writer.put(metadata::SPLIT_COUNT, count as u16)?;
                writer.put(metadata::SPLIT_TENSORS, tensors.len() as i32)?;
            }
            for tensor in tensors.iter().filter(|tensor| count == 1 || tensor.source.shard() == no)
            {
                let pipeline = &pipeline;
                writer.tensor(&tensor.name, tensor.to, &tensor.shape, |out| pipeline.write(out))?;
            }
            write_whole(path, writer).map_err(|error| pipeline.failure().unwrap_or(error))?;
        }
        Ok(())
    })?;
    Ok(tensors)
}

/// The metadata of the output, but for the number of layers.
fn pairs<'a>(gguf: &'a Gguf, options: &Options) -> Pairs<'a> {
    let mut pairs = Pairs::new(gguf.metadata());
    let file_type = match options.target.file_type {
        Some(file_type) => Some(file_type as u32),
        None => gguf
            .metadata()
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

fn write_whole(path: &Path, writer: Writer<'_>) -> Result<(), Error> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let failed = |error| Error::Write { path: path.to_owned(), error };
    let mut out = BufWriter::new(File::create(&part).map_err(failed)?);
    let written = match writer.finish(&mut out) {
        Ok(()) => out.flush().map_err(failed),
        Err(gguf::Error::Write(error)) => Err(failed(error)),
        Err(error) => Err(error.into()),
    };
    drop(out);
    let renamed = written.and_then(|()| fs::rename(&part, path).map_err(failed));
    if renamed.is_err() {
        // That the remains can't be removed either matters less than why.
        let _ = fs::remove_file(&part);
    }
    renamed
}

//! What the commands with flags of their own take.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::PathBuf;

use engine::{Normalization, Pooling};
use pack::{About, Form};
use tools::bench::{Format, Plan};
use tools::convert::Precision;
use tools::quantize::{Override, Replacement, Target, TensorType};
use tools::synth::{Recipe, Shape};

/// What `llamafile inspect` shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum View {
    /// All of it, summed up.
    #[default]
    Overview,
    /// Each tensor.
    Tensors,
    /// Each key.
    Metadata,
    /// The value of a key.
    Key(String),
    /// The chat template.
    Template,
}

/// What `llamafile tokenize` does.
#[derive(Debug, Default)]
pub struct Tokenize {
    /// Where the text is.
    pub source: Tokenized,
    /// Leave out the token that begins texts.
    pub no_bos: bool,
    /// Take special tokens in texts as plain text.
    pub plain: bool,
    /// What is printed.
    pub format: tools::tokenize::Format,
}

/// Where a text is.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Tokenized {
    /// On the command line.
    #[default]
    Prompt,
    /// In a file.
    File(PathBuf),
    /// On standard input.
    Stdin,
}

/// What `llamafile split` and `llamafile merge` do.
#[derive(Debug, Default)]
pub struct Split {
    /// The model, or its first file.
    pub input: PathBuf,
    /// File to write, or the beginning of the names of files.
    pub output: PathBuf,
    /// Where files end.
    pub limit: tools::split::Limit,
    /// The first file has no tensors.
    pub no_tensor_first: bool,
    /// Write nothing.
    pub dry_run: bool,
    /// Join instead.
    pub merge: bool,
}

/// What `llamafile hash` does.
#[derive(Debug, Default)]
pub struct Hashing {
    /// How; empty for a default.
    pub algorithms: Vec<tools::hash::Algorithm>,
    /// Not of each tensor.
    pub whole_only: bool,
    /// Hashes to compare with.
    pub manifest: Option<PathBuf>,
}

/// What `llamafile perplexity` does.
#[derive(Debug, Default)]
pub struct Predicting {
    /// What is predicted.
    pub what: Predicted,
    /// Log-probabilities to save, or to compare with.
    pub logits: Option<PathBuf>,
    /// Tokens between the beginnings of chunks that overlap; 0 for others.
    pub stride: usize,
    /// How chunks are printed.
    pub output: tools::perplexity::OutputType,
    /// Tasks that are no text.
    pub binary: Option<PathBuf>,
    /// How many tasks; `None` for a default, 0 for all.
    pub tasks: Option<usize>,
}

/// What a model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Predicted {
    /// A text.
    #[default]
    Text,
    /// A text whose predictions by another model are known.
    Divergence,
    /// Answers.
    Tasks(tools::perplexity::Kind),
}

/// What `llamafile pack` and the other commands on packed files do.
#[derive(Debug, Default)]
pub struct Packing {
    /// Models to pack, or the packed file.
    pub files: Vec<PathBuf>,
    /// File or folder to write.
    pub output: Option<PathBuf>,
    /// What the front of the file shall be.
    pub form: Option<Form>,
    /// Folder of engines.
    pub engines: Option<PathBuf>,
    /// Text for `.args`.
    pub args: Option<String>,
    /// Arguments for `.args`.
    pub arguments: Option<Vec<String>>,
    /// What Windows shows of the file.
    pub about: About,
}

/// What `llamafile embed` does.
#[derive(Debug)]
pub struct Embed {
    /// Operands, each of which is a text.
    pub texts: Vec<String>,
    /// What separates the texts of a prompt.
    pub separator: String,
    /// What separates a question from the text to rank.
    pub pair_separator: String,
    /// What becomes of the vectors of tokens; `None` for what the model says.
    pub pooling: Option<Pooling>,
    /// Whether tokens see only earlier ones; `None` for what the model says.
    pub causal: Option<bool>,
    /// What becomes of the length of vectors.
    pub normalization: Normalization,
    /// How they are printed.
    pub format: VectorFormat,
}

impl Default for Embed {
    fn default() -> Self {
        Self {
            texts: Vec::new(),
            separator: "\n".into(),
            pair_separator: "\t".into(),
            pooling: None,
            causal: None,
            normalization: Normalization::default(),
            format: VectorFormat::Text,
        }
    }
}

/// How vectors are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorFormat {
    /// For people.
    Text,
    /// `[[…],…]`.
    Array,
    /// As OpenAI has it.
    Json {
        /// With the cosines of all pairs.
        similarities: bool,
    },
    /// One vector a line.
    Raw,
}

/// What `llamafile convert` does.
#[derive(Debug, Default)]
pub struct Convert {
    /// The model's folder.
    pub folder: PathBuf,
    /// File to write.
    pub output: Option<PathBuf>,
    /// What matrices become.
    pub precision: Precision,
    /// Name of the pre-tokenizer.
    pub pre_tokenizer: Option<String>,
    /// Name of the model.
    pub name: Option<String>,
    /// Threads that encode.
    pub threads: Option<NonZero<usize>>,
}

/// What `llamafile quantize` does.
#[derive(Debug, Default)]
pub struct Quantize {
    /// The model.
    pub input: PathBuf,
    /// File to write.
    pub output: PathBuf,
    /// What it becomes.
    pub target: Option<&'static Target>,
    /// Importance matrix.
    pub imatrix: Option<PathBuf>,
    /// Tensors that it is used for, by parts of names; none means all.
    pub include: Vec<String>,
    /// Tensors that it is not used for.
    pub exclude: Vec<String>,
    /// Type of the output matrix.
    pub output_type: Option<TensorType>,
    /// Type of the token embedding.
    pub embedding_type: Option<TensorType>,
    /// Types by pattern.
    pub overrides: Vec<Override>,
    /// One type for all.
    pub pure: bool,
    /// Keep the output matrix.
    pub leave_output: bool,
    /// Write shards.
    pub keep_split: bool,
    /// Take quantised weights.
    pub allow_requantise: bool,
    /// Metadata to replace.
    pub metadata: Vec<(String, Replacement)>,
    /// Layers to leave out.
    pub prune: BTreeSet<usize>,
    /// Write nothing.
    pub dry_run: bool,
    /// Threads; `None` is one for each fast core.
    pub threads: Option<NonZero<usize>>,
}

/// What `llamafile bench` does.
#[derive(Debug, Default)]
pub struct Bench {
    /// Model files, or names of known models; the default model when empty.
    pub models: Vec<String>,
    /// What to measure of each.
    pub plan: Plan,
    /// How to print the results.
    pub format: Format,
}

/// What `llamafile synth` does.
#[derive(Debug, Default)]
pub struct Synth {
    /// Shape of the model.
    pub shape: Option<&'static Shape>,
    /// Types of its weights.
    pub recipe: Recipe,
    /// File to write.
    pub output: Option<PathBuf>,
    /// Equal seeds make equal files.
    pub seed: u64,
}

/// What `llamafile imatrix` does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imatrix {
    /// Where the text comes from.
    pub source: String,
    /// The file to write; `imatrix.gguf` where it is empty.
    pub output: PathBuf,
    /// Whether the output matrix is measured, too.
    pub with_output: bool,
    /// Whether special tokens may be written in the text.
    pub special: bool,
    /// Chunks of the text to leave out, at its beginning.
    pub skipped: usize,
    /// Earlier files to add.
    pub earlier: Vec<PathBuf>,
}

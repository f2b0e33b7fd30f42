//! What the command line and the environment ask for.

mod commands;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use backend::KvType;
use engine::{Algorithm, DiskCacheOptions, Placement, Schedule};
use grammar::Grammar;
use sample::Params;

pub use commands::*;

/// What `llamafile` shall do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Command {
    /// Answer a prompt or hold a conversation.
    #[default]
    Generate,
    /// Serve a model over HTTP.
    Serve,
    /// Fetch the named model.
    Pull(String),
    /// Embed texts.
    Embed,
    /// Make a model file of a folder.
    Convert,
    /// Write a model in fewer bits.
    Quantize,
    /// Measure models.
    Bench,
    /// Write a model of random weights.
    Synth,
    /// Tell what the machine has and what is used of it.
    Doctor,
    /// Test all kernels.
    Selftest,
    /// Write a file that holds models and engines.
    Pack,
    /// Give a packed file another front.
    Retarget,
    /// Give a packed file other engines.
    Upgrade,
    /// Make the file that was started an executable of this machine.
    Install,
    /// Tell what is in a model file, or list what is packed in a file.
    Inspect,
    /// Print the tokens of a text.
    Tokenize,
    /// Spread a model over several files.
    Split,
    /// Join the files of a model.
    Merge,
    /// Print or compare hashes of weights.
    Hash,
    /// Tell how well a model predicts a text.
    Perplexity,
    /// Measure how much columns of weights matter.
    Imatrix,
    /// Take out what is packed in a file.
    Unpack,
    /// Prove that a packed file is whole.
    Verify,
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// Whether text is generated as an answer, in a conversation, or raw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// One answer when there is a prompt, a conversation otherwise.
    #[default]
    Auto,
    /// A conversation, with the prompt (if any) as its first message.
    Chat,
    /// One answer.
    Answer,
    /// The prompt continued as plain text, without the chat template.
    Completion,
}

/// When to colour the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Everything a run needs to know.
#[derive(Debug, Default)]
pub struct Settings {
    /// What to do.
    pub command: Command,
    /// The command that help is about.
    pub topic: Option<&'static str>,
    /// Model file, or name of a known model; the default model when absent.
    pub model: Option<String>,
    /// Never use the network.
    pub offline: bool,
    /// The prompt as given, with escapes not yet replaced.
    pub prompt: Option<Text>,
    /// The system message.
    pub system: Option<Text>,
    /// Whether `\n` and the like in typed text stand for the character they name.
    pub escape: Option<bool>,
    /// Texts that end answers.
    pub stops: Vec<String>,
    /// Whether a raw completion repeats its prompt.
    pub display_prompt: Option<bool>,
    /// How text is generated.
    pub mode: Mode,
    /// Jinja source that replaces the model's own chat template.
    pub template: Option<String>,
    /// Most tokens to generate; `None` is no limit but the context.
    pub predict: Option<usize>,
    /// Context in tokens; `None` is the model's own.
    pub context: Option<usize>,
    /// Threads; `None` lets the engine choose.
    pub threads: Option<usize>,
    /// Where they run.
    pub placement: Placement,
    /// Most prompt tokens evaluated at once; `None` is the engine's default.
    pub batch: Option<usize>,
    /// Most chunks of a text that are evaluated; `None` for all.
    pub chunks: Option<usize>,
    /// Whether results must not depend on it.
    pub batch_invariant: bool,
    /// Whether more memory may be asked for than there is.
    pub overcommit: bool,
    /// Whether layers on sliding windows keep all positions.
    pub full_windows: bool,
    /// Precision of keys in memory.
    pub key_type: KvType,
    /// Precision of values in memory.
    pub value_type: KvType,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Whether texts that end repetitions were given.
    pub breakers_given: bool,
    /// What answers are held to.
    pub grammar: Option<Grammar>,
    /// Report speeds at the end.
    pub timings: bool,
    /// Report what is being done.
    pub verbose: bool,
    /// Colours.
    pub color: Color,
    /// Read lines without an editor.
    pub simple_io: bool,
    /// Remarks on flags that have no effect here.
    pub notes: Vec<String>,
    /// What `llamafile serve` does.
    pub serving: Serving,
    /// What guesses tokens.
    pub drafting: Drafting,
    /// How models that fill in masks answer.
    pub diffusion: FillingIn,
    /// What `llamafile embed` does.
    pub embed: Embed,
    /// What `llamafile imatrix` does.
    pub imatrix: Imatrix,
    /// What `llamafile convert` does.
    pub convert: Convert,
    /// What `llamafile quantize` does.
    pub quantize: Quantize,
    /// What `llamafile bench` does.
    pub bench: Bench,
    /// What `llamafile synth` does.
    pub synth: Synth,
    /// Whether results are printed as JSON.
    pub json: bool,
    /// Page to write of results.
    pub html: Option<PathBuf>,
    /// What `llamafile inspect` shows.
    pub inspect: View,
    /// What `llamafile tokenize` does.
    pub tokenize: Tokenize,
    /// What `llamafile split` and `llamafile merge` do.
    pub split: Split,
    /// What `llamafile hash` does.
    pub hash: Hashing,
    /// Parts of names of the kernels to test.
    pub kernels: Vec<String>,
    /// What `llamafile perplexity` does.
    pub perplexity: Predicting,
    /// What `llamafile pack` and the other commands on packed files do.
    pub packing: Packing,
}

/// What `llamafile serve` does.
#[derive(Debug)]
pub struct Serving {
    /// Whether to serve.
    pub on: bool,
    /// How.
    pub config: server::Config,
    /// Requests at once; `None` is the default.
    pub parallel: Option<usize>,
    /// Certificates for HTTPS.
    pub certificate: Option<PathBuf>,
    /// Their key.
    pub private_key: Option<PathBuf>,
    /// Whether the web page is opened.
    pub browser: bool,
    /// What the model is called in answers; its file's name where `None`.
    pub alias: Option<String>,
    /// A folder of models.
    pub models_dir: Option<PathBuf>,
    /// Models in memory at once; 0 for as many as there is room for.
    pub models_max: usize,
    /// Whether requests load models.
    pub autoload: bool,
    /// When a model is unloaded that nobody uses.
    pub idle_time: Option<Duration>,
    /// Where prompts' memory is kept beyond the end of the program.
    pub cache_dir: Option<PathBuf>,
    /// Bytes that it may hold.
    pub cache_bytes: u64,
}

impl Serving {
    /// The disk cache of servers.
    pub fn disk_cache(&self) -> Option<DiskCacheOptions> {
        let dir = self.cache_dir.clone()?;
        Some(DiskCacheOptions { dir, max_bytes: self.cache_bytes })
    }
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            on: false,
            config: server::Config::default(),
            parallel: None,
            certificate: None,
            private_key: None,
            browser: true,
            alias: None,
            models_dir: None,
            models_max: 4,
            autoload: true,
            idle_time: None,
            cache_dir: None,
            cache_bytes: 8 << 30,
        }
    }
}

/// What guesses tokens, and how much of it is used.
#[derive(Debug)]
pub struct Drafting {
    /// What guesses.
    pub guesses: Guesses,
    /// Most tokens at once; `None` for what suits it.
    pub n_max: Option<usize>,
    /// Fewest that are worth it.
    pub n_min: usize,
    /// How sure a draft model must be.
    pub p_min: f32,
    /// Tokens that must be the same for those after them to be guessed.
    pub ngram: usize,
}

impl Default for Drafting {
    fn default() -> Self {
        Self { guesses: Guesses::None, n_max: None, n_min: 0, p_min: 0.0, ngram: 12 }
    }
}

/// What guesses tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guesses {
    /// Nothing.
    None,
    /// A model file, or a known model of that name.
    Model(String),
    /// What the text says before.
    NGrams,
}

/// How models that fill in masks answer.
#[derive(Debug)]
pub struct FillingIn {
    /// Evaluations of the text.
    pub steps: usize,
    /// How many masks each replaces, if that was given.
    pub schedule: Option<Schedule>,
    /// Which ones.
    pub algorithm: Algorithm,
    /// Randomness of that.
    pub alg_temp: f32,
    /// How much more the prompt counts.
    pub cfg_scale: f32,
    /// Draw from all tokens.
    pub add_gumbel_noise: bool,
    /// Show the answer after each step.
    pub visual: bool,
}

impl Default for FillingIn {
    fn default() -> Self {
        Self {
            steps: 128,
            schedule: None,
            algorithm: Algorithm::default(),
            alg_temp: 0.0,
            cfg_scale: 0.0,
            add_gumbel_noise: false,
            visual: false,
        }
    }
}

type Change = dyn Fn(&mut Params) + Send + Sync;

/// How tokens are chosen: changes to what the model recommends.
#[derive(Default)]
pub struct Sampling {
    changes: Vec<Box<Change>>,
}

impl Sampling {
    /// Asks for a change.
    pub fn change(&mut self, change: impl Fn(&mut Params) + Send + Sync + 'static) {
        self.changes.push(Box::new(change));
    }

    /// The changes made to `recommended`.
    pub fn over(&self, recommended: &Params) -> Params {
        let mut params = recommended.clone();
        self.changes.iter().for_each(|change| change(&mut params));
        params
    }
}

impl fmt::Debug for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.over(&Params::default()).fmt(f)
    }
}

/// A text and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// Typed on the command line: escapes may apply.
    Typed(String),
    /// Read from a file or standard input: taken as it is.
    Read(String),
}

impl Text {
    /// The text, with escapes not replaced.
    pub fn as_is(&self) -> &str {
        let (Self::Typed(text) | Self::Read(text)) = self;
        text
    }
}

impl Settings {
    /// The prompt with its escapes replaced.
    pub fn prompt_text(&self) -> Option<String> {
        self.prompt.as_ref().map(|text| self.unescaped(text))
    }

    /// The system message with its escapes replaced.
    pub fn system_text(&self) -> Option<String> {
        self.system.as_ref().map(|text| self.unescaped(text))
    }

    fn unescaped(&self, text: &Text) -> String {
        match text {
            Text::Typed(typed) if self.escape.unwrap_or(true) => unescape(typed),
            Text::Typed(text) | Text::Read(text) => text.clone(),
        }
    }
}

/// Replaces `\n \r \t \' \" \\` and `\xHH`; every other backslash stays.
pub fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let (byte, taken) = match &bytes[at..] {
            [b'\\', b'n', ..] => (b'\n', 2),
            [b'\\', b'r', ..] => (b'\r', 2),
            [b'\\', b't', ..] => (b'\t', 2),
            [b'\\', quoted @ (b'\'' | b'"' | b'\\'), ..] => (*quoted, 2),
            [b'\\', b'x', high, low, ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, 4),
                _ => (b'\\', 1),
            },
            rest => (rest[0], 1),
        };
        out.push(byte);
        at += taken;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_replaced_as_llama_cpp_does() {
        assert_eq!(unescape(r"a\nb\t\\n \x41\x4 \q"), "a\nb\t\\n A\\x4 \\q");
        assert_eq!(unescape(r"caf\xc3\xa9"), "café");
        assert_eq!(unescape("tail\\"), "tail\\");
    }

    #[test]
    fn text_read_from_a_file_keeps_its_backslashes() {
        let settings = Settings {
            prompt: Some(Text::Read(r"printf('\n')".into())),
            system: Some(Text::Typed(r"a\nb".into())),
            ..Settings::default()
        };
        assert_eq!(settings.prompt_text().as_deref(), Some(r"printf('\n')"));
        assert_eq!(settings.system_text().as_deref(), Some("a\nb"));
    }
}

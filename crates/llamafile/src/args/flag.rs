//! The shape of one command-line flag.

use crate::settings::Settings;

/// Two tables as one.
pub const fn join<const N: usize>(first: &[Flag], second: &[Flag]) -> [Flag; N] {
    let mut all = [first[0]; N];
    let mut i = 0;
    while i < N {
        all[i] = if i < first.len() { first[i] } else { second[i - first.len()] };
        i += 1;
    }
    all
}

/// One flag: everything that parsing, help and environment need to know about it.
#[derive(Clone, Copy)]
pub struct Flag {
    /// Every spelling, the one to show first.
    pub names: &'static [&'static str],
    /// What it takes and does.
    pub action: Action,
    /// Environment variable that sets it, as in llama.cpp.
    pub env: Option<&'static str>,
    /// Where the help shows it.
    pub group: Group,
    /// One or two sentences.
    pub help: &'static str,
}

/// What a flag takes and does.
#[derive(Clone, Copy)]
pub enum Action {
    /// Takes nothing.
    Plain(fn(&mut Settings)),
    /// Takes nothing, and has spellings that turn it off.
    Switch {
        /// Spellings that turn it off.
        off: &'static [&'static str],
        /// Sets it on or off.
        set: fn(&mut Settings, bool),
    },
    /// Takes the next argument.
    Value {
        /// What the help calls the argument.
        name: &'static str,
        /// Stores the argument.
        set: fn(&mut Settings, &str) -> Result<(), Invalid>,
    },
    /// Takes the next argument if that is `on`, `off` or `auto`, and is `on` otherwise.
    Optional {
        /// Spellings that turn it off.
        off: &'static [&'static str],
        /// Stores the argument.
        set: fn(&mut Settings, &str) -> Result<(), Invalid>,
    },
}

/// Headings of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Model.
    Model,
    /// Prompt and conversation.
    Prompt,
    /// Choosing tokens.
    Sampling,
    /// Penalties on repetition.
    Repetition,
    /// Other ways of choosing tokens.
    Choice,
    /// Form of the answer.
    Form,
    /// Speculative decoding.
    Drafting,
    /// Models that fill in masks.
    Diffusion,
    /// Speed and memory.
    Engine,
    /// Serving over HTTP.
    Server,
    /// Output.
    Output,
    /// Accepted for command lines written for other versions.
    Compatibility,
    /// Of `llamafile embed`.
    Embed,
    /// Of `llamafile convert`.
    Convert,
    /// Of `llamafile quantize`.
    Quantize,
    /// Of `llamafile bench`.
    Bench,
    /// Of `llamafile synth`.
    Synth,
    /// Of `llamafile doctor`.
    Doctor,
    /// Of `llamafile selftest`.
    Selftest,
    /// Of `llamafile inspect`.
    Inspect,
    /// Of `llamafile tokenize`.
    Tokenize,
    /// Of `llamafile split` and `llamafile merge`.
    Split,
    /// Of `llamafile hash`.
    Hash,
    /// Of `llamafile perplexity`.
    Perplexity,
    /// Of `llamafile imatrix`.
    Imatrix,
    /// Of `llamafile pack` and the other commands on packed files.
    Packing,
}

impl Group {
    /// All groups, in the order of the help.
    pub const ALL: [Self; 26] = [
        Self::Model,
        Self::Prompt,
        Self::Sampling,
        Self::Repetition,
        Self::Choice,
        Self::Form,
        Self::Drafting,
        Self::Diffusion,
        Self::Engine,
        Self::Server,
        Self::Output,
        Self::Compatibility,
        Self::Embed,
        Self::Convert,
        Self::Quantize,
        Self::Bench,
        Self::Synth,
        Self::Doctor,
        Self::Selftest,
        Self::Inspect,
        Self::Tokenize,
        Self::Split,
        Self::Hash,
        Self::Perplexity,
        Self::Imatrix,
        Self::Packing,
    ];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Model => "Model",
            Self::Prompt => "Prompt and conversation",
            Self::Sampling => "Choosing tokens",
            Self::Repetition => "Choosing tokens: against repetition",
            Self::Choice => "Choosing tokens: Mirostat and adaptive-p",
            Self::Form => "Form of the answer",
            Self::Drafting => "Guessing tokens (speculative decoding)",
            Self::Diffusion => "Models that fill in masks (diffusion)",
            Self::Engine => "Speed and memory",
            Self::Server => "Server",
            Self::Output => "Output",
            Self::Compatibility => "Accepted for compatibility",
            Self::Embed => "Flags of llamafile embed",
            Self::Convert => "Flags of llamafile convert",
            Self::Quantize => "Flags of llamafile quantize",
            Self::Bench => "Flags of llamafile bench",
            Self::Synth => "Flags of llamafile synth",
            Self::Doctor => "Flags of llamafile doctor",
            Self::Selftest => "Flags of llamafile selftest",
            Self::Inspect => "Flags of llamafile inspect",
            Self::Tokenize => "Flags of llamafile tokenize",
            Self::Split => "Flags of llamafile split, merge",
            Self::Hash => "Flags of llamafile hash",
            Self::Perplexity => "Flags of llamafile perplexity",
            Self::Imatrix => "Flags of llamafile imatrix",
            Self::Packing => "Flags of llamafile pack, retarget, upgrade, unpack",
        }
    }
}

/// Why a flag refused its argument.
#[derive(Debug)]
pub struct Invalid {
    /// What is wrong, such as `expected a number, not "x"`.
    pub cause: String,
    /// What to do instead.
    pub remedy: Option<String>,
}

impl Invalid {
    /// The argument is not of the `wanted` kind.
    pub fn expected(wanted: &str, got: &str) -> Self {
        Self { cause: format!("expected {wanted}, not \"{got}\""), remedy: None }
    }

    /// Adds what to do instead.
    pub fn hint(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

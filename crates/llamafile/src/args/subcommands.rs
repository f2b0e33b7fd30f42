//! Commands that have flags of their own.

use super::converting::{self, CONVERT};
use super::doctor::{self, DOCTOR};
use super::embedding::{self, EMBED};
use super::flag::Flag;
use super::hashing::{self, HASH};
use super::imatrix::{self, IMATRIX};
use super::inspecting::{self, INSPECT};
use super::measuring::{self, BENCH, SYNTH};
use super::packing::{self, PACKING};
use super::predicting::{self, PERPLEXITY};
use super::quantizing::{self, QUANTIZE};
use super::selftest::{self, SELFTEST};
use super::splitting::{self, SPLIT};
use super::tokenizing::{self, TOKENIZE};
use crate::error::CliError;
use crate::settings::{Command, Settings};

/// A command that has flags of its own, before which it stands.
pub struct Subcommand {
    /// What the user types.
    pub name: &'static str,
    /// What it does.
    pub command: Command,
    /// Its flags.
    pub flags: &'static [Flag],
    /// Takes what is no flag, and checks that nothing is missing.
    pub operands: fn(&mut Settings, &[String]) -> Result<(), CliError>,
    /// How it is typed.
    pub usage: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// Lines to learn from, and what they do.
    pub examples: &'static [(&'static str, &'static str)],
}

/// All of them, in the order of the help.
pub const SUBCOMMANDS: &[Subcommand] = &[
    Subcommand {
        name: "embed",
        command: Command::Embed,
        flags: EMBED,
        operands: embedding::apply_words,
        usage: "[TEXT...] [FLAGS]",
        about: "vectors of texts, or scores of pairs",
        examples: &[
            ("llamafile embed -m bge.gguf \"a text\" \"another\"", "two vectors, and their cosine"),
            ("llamafile embed -m bge.gguf -f lines.txt", "one vector for each line"),
        ],
    },
    Subcommand {
        name: "convert",
        command: Command::Convert,
        flags: CONVERT,
        operands: converting::apply_words,
        usage: "DIR -o FILE [FLAGS]",
        about: "a model file of a folder from Hugging Face",
        examples: &[
            ("llamafile convert Qwen3-0.6B/ -o qwen3.gguf", "16 bits, as the weights have them"),
            ("llamafile convert gemma-3-1b-it/ -o g.gguf --outtype q8_0", "half the size"),
            ("llamafile convert bge-small/ -o bge.gguf --outtype f32", "every bit of it"),
        ],
    },
    Subcommand {
        name: "quantize",
        command: Command::Quantize,
        flags: QUANTIZE,
        operands: quantizing::apply_words,
        usage: "IN [OUT] TARGET [THREADS]",
        about: "make a model file smaller, at some loss",
        examples: &[
            ("llamafile quantize model-F16.gguf small.gguf Q4_K_M", "the usual choice"),
            ("llamafile quantize model-F16.gguf Q8_0 8", "with 8 threads"),
            ("llamafile quantize Qwen3-0.6B/ small.gguf Q4_K_M", "from a folder, see convert"),
            ("llamafile quantize --dry-run model-F16.gguf Q5_K_M", "how large it would be"),
            ("llamafile quantize --imatrix i.gguf in.gguf out.gguf IQ2_M", "tiny, still usable"),
            (
                "llamafile quantize --tensor-type ffn_down=q8_0 in.gguf Q4_K_M",
                "exact where you want",
            ),
        ],
    },
    Subcommand {
        name: "imatrix",
        command: Command::Imatrix,
        flags: IMATRIX,
        operands: imatrix::apply_words,
        usage: "-m FILE -f TEXT [FLAGS]",
        about: "which columns of weights matter, for quantize",
        examples: &[
            ("llamafile imatrix -m model-F16.gguf -f text.txt", "writes imatrix.gguf"),
            ("llamafile imatrix --in-file a.gguf --in-file b.dat -o c.gguf", "joins two"),
        ],
    },
    Subcommand {
        name: "bench",
        command: Command::Bench,
        flags: BENCH,
        operands: |settings, words| measuring::apply_bench_words(&mut settings.bench, words),
        usage: "[FLAGS]",
        about: "measure models as llama-bench does",
        examples: &[
            ("llamafile bench -m model.gguf", "a prompt of 512 tokens, an answer of 128"),
            ("llamafile bench -m a.gguf -m b.gguf -d 0,4096", "two models, short and long texts"),
        ],
    },
    Subcommand {
        name: "synth",
        command: Command::Synth,
        flags: SYNTH,
        operands: |settings, words| measuring::apply_synth_words(&mut settings.synth, words),
        usage: "SHAPE [FLAGS]",
        about: "write a model of random weights to measure",
        examples: &[("llamafile synth llama-1b -o llama-1b.gguf", "1 billion weights in Q4_K_M")],
    },
    Subcommand {
        name: "doctor",
        command: Command::Doctor,
        flags: DOCTOR,
        operands: doctor::apply_words,
        usage: "[FLAGS]",
        about: "what the machine has, and whether a model fits",
        examples: &[
            ("llamafile doctor", "processors, memory and what is used of them"),
            ("llamafile doctor -m model.gguf -c 32768", "and whether the model fits"),
        ],
    },
    Subcommand {
        name: "selftest",
        command: Command::Selftest,
        flags: SELFTEST,
        operands: selftest::apply_words,
        usage: "[NAME...] [FLAGS]",
        about: "test all kernels on this machine",
        examples: &[
            ("llamafile selftest", "each against the scalar reference"),
            ("llamafile selftest Q4_K attention", "those with these in their names"),
        ],
    },
    Subcommand {
        name: "inspect",
        command: Command::Inspect,
        flags: INSPECT,
        operands: inspecting::apply_words,
        usage: "FILE [FLAGS]",
        about: "what a model file or a packed one holds",
        examples: &[
            ("llamafile inspect model.gguf", "sizes, contexts, tokenizer, problems"),
            ("llamafile inspect model.gguf --html model.html", "a page with charts"),
            ("llamafile inspect model.gguf --template", "its chat template"),
            ("llamafile inspect model.gguf --metadata general.name", "the value of a key"),
            ("llamafile inspect x.llamafile", "what is packed in it"),
            ("llamafile inspect x.llamafile@model.gguf", "a model that is packed in it"),
        ],
    },
    Subcommand {
        name: "perplexity",
        command: Command::Perplexity,
        flags: PERPLEXITY,
        operands: predicting::apply_words,
        usage: "-m FILE -f TEXT [FLAGS]",
        about: "how well a model predicts a text",
        examples: &[
            ("llamafile perplexity -m a.gguf -f text.txt", "lower is better"),
            (
                "llamafile perplexity -m a.gguf -f text.txt --kl-divergence-base a.kld",
                "and all it predicts",
            ),
            (
                "llamafile perplexity -m b.gguf --kl-divergence-base a.kld --kl-divergence",
                "how far b is from a",
            ),
            ("llamafile perplexity -m a.gguf -f hellaswag.txt --hellaswag", "right answers"),
        ],
    },
    Subcommand {
        name: "tokenize",
        command: Command::Tokenize,
        flags: TOKENIZE,
        operands: tokenizing::apply_words,
        usage: "-m FILE -p TEXT [FLAGS]",
        about: "the tokens of a text",
        examples: &[
            ("llamafile tokenize -m model.gguf -p \"Hello world\"", "each token and its text"),
            ("llamafile tokenize -m model.gguf -f a.txt --ids", "a list of ids"),
        ],
    },
    Subcommand {
        name: "split",
        command: Command::Split,
        flags: SPLIT,
        operands: splitting::apply_words,
        usage: "MODEL PREFIX [FLAGS]",
        about: "spread a model over several files",
        examples: &[
            (
                "llamafile split --split-max-size 2G a.gguf a",
                "a-00001-of-0000N.gguf and so on, of 2 GB each",
            ),
            ("llamafile split --dry-run a.gguf a", "what files there would be"),
        ],
    },
    Subcommand {
        name: "merge",
        command: Command::Merge,
        flags: SPLIT,
        operands: splitting::apply_words,
        usage: "FIRST-FILE MODEL",
        about: "join the files of a split model",
        examples: &[("llamafile merge a-00001-of-00003.gguf a.gguf", "the model as it was")],
    },
    Subcommand {
        name: "hash",
        command: Command::Hash,
        flags: HASH,
        operands: hashing::apply_words,
        usage: "MODEL [FLAGS]",
        about: "hashes of weights, or a check of them",
        examples: &[
            ("llamafile hash --sha256 a.gguf > a.manifest", "of each tensor and of all"),
            ("llamafile hash --check a.manifest a.gguf", "whether they are the same"),
        ],
    },
    Subcommand {
        name: "pack",
        command: Command::Pack,
        flags: PACKING,
        operands: packing::apply_words,
        usage: "MODEL... [FLAGS] [-- ARGS]",
        about: "one file of models and program",
        examples: &[
            ("llamafile pack model.gguf", "model.llamafile, which starts on every system"),
            ("llamafile pack model.gguf -- -c 8192", "with arguments to start with"),
        ],
    },
    Subcommand {
        name: "retarget",
        command: Command::Retarget,
        flags: PACKING,
        operands: packing::apply_words,
        usage: "FILE --os SYSTEM",
        about: "make it an executable of one system",
        examples: &[("llamafile retarget --os linux-x86_64 x.llamafile", "in place")],
    },
    Subcommand {
        name: "upgrade",
        command: Command::Upgrade,
        flags: PACKING,
        operands: packing::apply_words,
        usage: "FILE [--engines DIR]",
        about: "swap the program in a packed file",
        examples: &[("llamafile upgrade x.llamafile", "with the programs of this file")],
    },
    Subcommand {
        name: "unpack",
        command: Command::Unpack,
        flags: PACKING,
        operands: packing::apply_words,
        usage: "FILE [-o DIR]",
        about: "take out what is packed in a file",
        examples: &[("llamafile unpack x.llamafile -o x", "into the folder x")],
    },
    Subcommand {
        name: "verify",
        command: Command::Verify,
        flags: PACKING,
        operands: packing::apply_words,
        usage: "FILE",
        about: "prove that a packed file is whole",
        examples: &[("llamafile verify x.llamafile", "reads all of it")],
    },
];

impl Subcommand {
    /// The command of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SUBCOMMANDS.iter().find(|subcommand| subcommand.name == name)
    }
}

use super::Stage;
use super::stages::{
    gpt2, llama3, number, numbers, punctuation_default, punctuation_falcon, qwen2, three_digits,
};

/// One kind of pre-tokenizer and what else its names imply.
pub(crate) struct PreTokenizer {
    names: &'static [&'static str],
    pub(super) stages: &'static [Stage],
    /// A word that is a token is taken whole, whatever the merges say.
    pub(crate) ignore_merges: bool,
    /// Whether text starts with the BOS token when the file does not say.
    pub(crate) add_bos: bool,
}

const PLAIN: PreTokenizer =
    PreTokenizer { names: &[], stages: &[], ignore_merges: false, add_bos: false };

/// The names of `tokenizer.ggml.pre`, grouped as llama.cpp groups them.
static TABLE: &[PreTokenizer] = &[
    PreTokenizer {
        names: &[
            "gpt-2",
            "phi-2",
            "jina-es",
            "jina-de",
            "jina-v2-es",
            "jina-v2-de",
            "jina-v1-en",
            "jina-v2-code",
            "roberta-bpe",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "exaone4",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
        ],
        stages: &[gpt2],
        ..PLAIN
    },
    PreTokenizer {
        names: &[
            "smollm",
            "starcoder",
            "refact",
            "command-r",
            "codeshell",
            "exaone",
            "minerva-7b",
            "mellum2",
        ],
        stages: &[number, gpt2],
        ..PLAIN
    },
    PreTokenizer {
        names: &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
        stages: &[llama3],
        ignore_merges: true,
        add_bos: true,
    },
    PreTokenizer { names: &["dbrx", "smaug-bpe"], stages: &[llama3], ..PLAIN },
    PreTokenizer {
        names: &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "megrez",
            "stablelm2",
            "hunyuan",
            "solar-open",
            "grok-2",
        ],
        stages: &[qwen2],
        ..PLAIN
    },
    PreTokenizer { names: &["falcon"], stages: &[punctuation_falcon, gpt2, three_digits], ..PLAIN },
    PreTokenizer {
        names: &["default", ""],
        stages: &[punctuation_default, gpt2, numbers, three_digits],
        ..PLAIN
    },
];

/// The pre-tokenizer called `name`; the empty name is the default one's.
pub(crate) fn find(name: &str) -> Option<&'static PreTokenizer> {
    TABLE.iter().find(|pre| pre.names.contains(&name))
}

/// All names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().flat_map(|pre| pre.names).copied().filter(|name| !name.is_empty())
}

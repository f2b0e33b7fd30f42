//! The names of pre-tokenizers and what each stands for.

use super::Stage::{self, All, First};
use super::cased::{gpt4o, granite_multi, tekken, tiny_aya, youtu};
use super::cuts::{
    image, indent, lines, metaspace, newline, no_spaces, number, number_groups, numbers, poro,
    powers_of_spaces, punctuation_chameleon, punctuation_default, punctuation_falcon, sentinel,
    thousands, three_digits, up_to_three_numbers,
};
use super::deepseek::{
    cased_letters, deepseek3, han_and_hangul, letters, punctuation, spark, trailing_spaces,
    wide_punctuation,
};
use super::kimi::kimi_k2;
use super::scripts::{east_asian, han_and_kana, youtu_scripts};
use super::words::{exaone_moe, gpt2, llama3, minicpm5, qwen2, qwen35, seed_coder, ufakzeka};

/// One kind of pre-tokenizer and what else its names imply.
pub(crate) struct PreTokenizer {
    pub(super) names: &'static [&'static str],
    pub(super) stages: &'static [Stage],
    pub(crate) spelling: Spelling,
    /// A word that is a token is taken whole, whatever the merges say.
    pub(crate) ignore_merges: bool,
    /// As `ignore_merges`, but only for words of newlines.
    pub(crate) whole_newlines: bool,
    /// Whether text starts with the BOS token when the file does not say.
    pub(crate) add_bos: bool,
    /// Text starts with the BOS token whatever the file says.
    pub(crate) force_bos: bool,
    /// Without one in the file, there is no BOS token.
    pub(crate) no_default_bos: bool,
    /// Whether texts are separated by the SEP token when the file does not say.
    pub(crate) add_sep: bool,
    /// Whether text is in lower case when the file does not say.
    pub(crate) lowercase: bool,
    /// Detokenizing takes out spaces before punctuation.
    pub(crate) clean_spaces: bool,
}

/// How a vocabulary spells text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// One character per byte.
    ByteChars,
    /// As it is.
    Plain,
    /// U+2581 for spaces.
    Spaces,
    /// U+2581 for spaces and before each line.
    SpacesAndLines,
}

/// What most have.
const PLAIN: PreTokenizer = PreTokenizer {
    names: &[],
    stages: &[],
    spelling: Spelling::ByteChars,
    ignore_merges: false,
    whole_newlines: false,
    add_bos: false,
    force_bos: false,
    no_default_bos: false,
    add_sep: false,
    lowercase: true,
    clean_spaces: false,
};

const CLEAN: PreTokenizer = PreTokenizer { clean_spaces: true, ..PLAIN };

/// The names of `tokenizer.ggml.pre`.
pub(super) static TABLE: &[PreTokenizer] = &[
    PreTokenizer {
        names: &["default", ""],
        stages: &[First(punctuation_default), First(gpt2), First(numbers), First(three_digits)],
        ..CLEAN
    },
    PreTokenizer {
        names: &[
            "gpt-2",
            "phi-2",
            "jina-es",
            "jina-de",
            "jina-v2-es",
            "jina-v2-de",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "exaone4",
            "mpt",
            "olmo",
            "jais",
        ],
        stages: &[First(gpt2)],
        ..CLEAN
    },
    PreTokenizer {
        names: &["jina-v1-en", "jina-v2-code", "roberta-bpe"],
        stages: &[First(gpt2)],
        add_sep: true,
        ..CLEAN
    },
    PreTokenizer { names: &["trillion", "granite-docling"], stages: &[First(gpt2)], ..PLAIN },
    PreTokenizer {
        names: &["starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"],
        stages: &[First(number), First(gpt2)],
        ..CLEAN
    },
    PreTokenizer {
        names: &["smollm", "command-r"],
        stages: &[First(number), First(gpt2)],
        ..PLAIN
    },
    PreTokenizer {
        names: &["falcon"],
        stages: &[First(punctuation_falcon), First(gpt2), First(three_digits)],
        ..CLEAN
    },
    PreTokenizer {
        names: &["chameleon"],
        stages: &[
            First(sentinel),
            First(image),
            First(indent),
            First(number),
            First(punctuation_chameleon),
            First(gpt2),
        ],
        add_bos: true,
        ..PLAIN
    },
    PreTokenizer {
        names: &[
            "llama3",
            "llama-v3",
            "llama-bpe",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
        stages: &[First(llama3)],
        ignore_merges: true,
        add_bos: true,
        ..CLEAN
    },
    PreTokenizer { names: &["dbrx", "smaug-bpe"], stages: &[First(llama3)], ..CLEAN },
    PreTokenizer {
        names: &["chatglm-bpe"],
        stages: &[First(llama3)],
        no_default_bos: true,
        ..CLEAN
    },
    PreTokenizer {
        names: &["glm4", "glm5"],
        stages: &[First(llama3)],
        ignore_merges: true,
        no_default_bos: true,
        ..CLEAN
    },
    PreTokenizer { names: &["jais-2"], stages: &[First(llama3), First(powers_of_spaces)], ..CLEAN },
    PreTokenizer {
        names: &["minicpm5"],
        stages: &[First(up_to_three_numbers), First(minicpm5)],
        ignore_merges: true,
        ..CLEAN
    },
    PreTokenizer {
        names: &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "hunyuan",
            "solar-open",
            "grok-2",
        ],
        stages: &[First(qwen2)],
        ..PLAIN
    },
    PreTokenizer { names: &["megrez", "stablelm2"], stages: &[First(qwen2)], ..CLEAN },
    PreTokenizer { names: &["laguna"], stages: &[First(lines), First(qwen2)], ..PLAIN },
    PreTokenizer { names: &["qwen35"], stages: &[First(qwen35)], ..PLAIN },
    // `\s*[\r\n]` instead of `\s*[\r\n]+` finds the same.
    PreTokenizer {
        names: &["bailingmoe", "bailingmoe2", "llada-moe"],
        stages: &[First(qwen2)],
        ..PLAIN
    },
    PreTokenizer { names: &["ufakzeka"], stages: &[First(ufakzeka)], ..PLAIN },
    PreTokenizer { names: &["seed-coder"], stages: &[First(seed_coder)], ..PLAIN },
    PreTokenizer { names: &["exaone-moe"], stages: &[First(exaone_moe)], ..CLEAN },
    PreTokenizer {
        names: &["tekken"],
        stages: &[First(tekken)],
        ignore_merges: true,
        add_bos: true,
        ..PLAIN
    },
    PreTokenizer {
        names: &["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"],
        stages: &[First(gpt4o)],
        ..PLAIN
    },
    PreTokenizer {
        names: &["granite-embed-multi-97m"],
        stages: &[First(granite_multi)],
        ignore_merges: true,
        ..PLAIN
    },
    PreTokenizer {
        names: &["tiny_aya", "cohere2moe"],
        stages: &[All(number_groups), First(tiny_aya)],
        ..PLAIN
    },
    PreTokenizer {
        names: &["youtu"],
        stages: &[First(youtu_scripts), First(youtu)],
        ignore_merges: true,
        ..PLAIN
    },
    PreTokenizer { names: &["kimi-k2"], stages: &[First(kimi_k2)], ..PLAIN },
    PreTokenizer { names: &["superbpe"], stages: &[First(numbers), All(thousands)], ..PLAIN },
    PreTokenizer {
        names: &["deepseek-llm"],
        stages: &[
            First(newline),
            First(cased_letters),
            First(wide_punctuation),
            First(trailing_spaces),
            First(han_and_hangul),
            First(numbers),
        ],
        ..PLAIN
    },
    PreTokenizer {
        names: &["deepseek-coder"],
        stages: &[
            First(newline),
            First(letters),
            First(punctuation),
            First(han_and_hangul),
            First(number),
        ],
        ..PLAIN
    },
    PreTokenizer {
        names: &["deepseek-v3", "hunyuan-dense", "hy_v4", "joyai-llm"],
        stages: &[First(up_to_three_numbers), First(han_and_kana), First(deepseek3)],
        ..PLAIN
    },
    PreTokenizer {
        names: &["spark2_5"],
        stages: &[First(up_to_three_numbers), First(han_and_kana), First(spark), First(number)],
        ..PLAIN
    },
    PreTokenizer {
        names: &["afmoe"],
        stages: &[All(number_groups), First(east_asian), First(deepseek3)],
        ..PLAIN
    },
    PreTokenizer { names: &["poro-chat"], stages: &[First(poro)], ..PLAIN },
    PreTokenizer { names: &["bloom", "gpt3-finnish"], stages: &[First(poro)], ..CLEAN },
    PreTokenizer { names: &["viking"], stages: &[First(poro), First(number)], ..PLAIN },
    PreTokenizer {
        names: &["gemma4", "granite-embed-multi-311m"],
        stages: &[First(lines)],
        spelling: Spelling::Spaces,
        whole_newlines: true,
        force_bos: true,
        ..CLEAN
    },
    PreTokenizer {
        names: &["mmbert"],
        stages: &[First(lines), First(metaspace)],
        spelling: Spelling::SpacesAndLines,
        whole_newlines: true,
        ..CLEAN
    },
    PreTokenizer {
        names: &["sarvam-moe"],
        stages: &[First(lines)],
        spelling: Spelling::Spaces,
        ..PLAIN
    },
    PreTokenizer {
        names: &["whitespace"],
        stages: &[First(no_spaces)],
        spelling: Spelling::Plain,
        lowercase: false,
        ..CLEAN
    },
];

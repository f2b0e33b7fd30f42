use gguf::{Metadata, Value, ValueType};

use crate::Error;

/// The parts of a model file that define its tokenizer; see the GGUF
/// specification for the meaning of each key.
#[derive(Debug, Clone, Default)]
pub struct Parts<'a> {
    /// `tokenizer.ggml.model`: the family.
    pub model: &'a str,
    /// `tokenizer.ggml.pre`: the pre-tokenizer; empty if the file names none.
    pub pre: &'a str,
    /// `tokenizer.ggml.tokens`: the text of each token, by id.
    pub tokens: Vec<&'a [u8]>,
    /// `tokenizer.ggml.scores`: one per token or empty.
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.token_type`: one per token or empty.
    pub types: Vec<i32>,
    /// `tokenizer.ggml.merges`: pairs separated by a space, best first.
    pub merges: Option<Vec<&'a [u8]>>,
    /// `tokenizer.ggml.*_token_id`: key without this prefix and suffix, and id.
    pub ids: Vec<(&'static str, u32)>,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_eos_token`.
    pub add_eos: Option<bool>,
    /// `tokenizer.ggml.add_sep_token`.
    pub add_sep: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`.
    pub add_space_prefix: Option<bool>,
    /// `tokenizer.ggml.remove_extra_whitespaces`.
    pub remove_extra_whitespaces: Option<bool>,
    /// `tokenizer.ggml.normalizer.lowercase`.
    pub lowercase: Option<bool>,
    /// `tokenizer.ggml.normalizer.strip_accents`.
    pub strip_accents: Option<bool>,
    /// `tokenizer.ggml.precompiled_charsmap`; empty if there is none.
    pub precompiled_charsmap: Vec<u8>,
    /// `tokenizer.ggml.suppress_tokens`.
    pub suppress: Vec<i32>,
    /// `general.name`.
    pub name: &'a str,
    /// `general.architecture`.
    pub architecture: &'a str,
}

/// The `*` of the keys `tokenizer.ggml.*_token_id`. Later ones win, as in
/// llama.cpp: the last three are older spellings of the fim ids.
pub(crate) const ID_KEYS: [&str; 17] = [
    "bos",
    "eos",
    "eot",
    "eom",
    "unknown",
    "seperator",
    "padding",
    "mask",
    "fim_pre",
    "fim_suf",
    "fim_mid",
    "fim_pad",
    "fim_rep",
    "fim_sep",
    "prefix",
    "suffix",
    "middle",
];

const SCORES: &str = "tokenizer.ggml.scores";
pub(crate) const TYPES: &str = "tokenizer.ggml.token_type";
pub(crate) const MERGES: &str = "tokenizer.ggml.merges";
const MODEL: &str = "tokenizer.ggml.model";
const TOKENS: &str = "tokenizer.ggml.tokens";
const CHARSMAP: &str = "tokenizer.ggml.precompiled_charsmap";

impl<'a> Parts<'a> {
    /// Reads the parts from a file's metadata.
    ///
    /// # Errors
    /// When the model or the tokens are missing, or a key has the wrong type.
    pub fn from_metadata(metadata: &'a Metadata) -> Result<Self, Error> {
        let mut ids = Vec::new();
        for key in ID_KEYS {
            if let Some(id) = metadata.opt_u32(&format!("tokenizer.ggml.{key}_token_id"))? {
                ids.push((key, id));
            }
        }
        let strings = |key| -> Result<Option<Vec<&'a [u8]>>, Error> {
            Ok(metadata.strings(key)?.map(|strings| strings.bytes().collect()))
        };
        let flag = |key: &str| metadata.opt_bool(&format!("tokenizer.ggml.{key}"));
        Ok(Self {
            model: metadata.opt_str(MODEL)?.ok_or(Error::Missing(MODEL))?,
            pre: metadata.opt_str("tokenizer.ggml.pre")?.unwrap_or_default(),
            tokens: strings(TOKENS)?.ok_or(Error::Missing(TOKENS))?,
            scores: scores(metadata)?,
            types: metadata.i32s(TYPES)?.unwrap_or_default(),
            merges: strings(MERGES)?,
            ids,
            add_bos: flag("add_bos_token")?,
            add_eos: flag("add_eos_token")?,
            add_sep: flag("add_sep_token")?,
            add_space_prefix: flag("add_space_prefix")?,
            remove_extra_whitespaces: flag("remove_extra_whitespaces")?,
            lowercase: flag("normalizer.lowercase")?,
            strip_accents: flag("normalizer.strip_accents")?,
            precompiled_charsmap: bytes(metadata, CHARSMAP)?,
            suppress: metadata.i32s("tokenizer.ggml.suppress_tokens")?.unwrap_or_default(),
            name: metadata.opt_str("general.name")?.unwrap_or_default(),
            architecture: metadata.opt_str("general.architecture")?.unwrap_or_default(),
        })
    }

    /// One score per token: zero if the file has none.
    pub(crate) fn scores(&self) -> Result<Vec<f32>, Error> {
        let n = self.tokens.len();
        match self.scores.get(..n) {
            Some(scores) => Ok(scores.to_vec()),
            None if self.scores.is_empty() => Ok(vec![0.0; n]),
            None => Err(Error::TooShort { key: SCORES, expected: n, found: self.scores.len() }),
        }
    }
}

/// The scores, which some files give as integers; none if there is no such key.
fn scores(metadata: &Metadata) -> Result<Vec<f32>, Error> {
    Ok(match metadata.get(SCORES) {
        Some(Value::Array(array)) if array.item_type() == ValueType::I32 => {
            let integers = metadata.i32s(SCORES)?.unwrap_or_default();
            integers.into_iter().map(|score| score as f32).collect()
        }
        _ => metadata.f32s(SCORES)?.unwrap_or_default(),
    })
}

/// The bytes of an array of `u8` or `i8`; none if there is no such key.
fn bytes(metadata: &Metadata, key: &'static str) -> Result<Vec<u8>, Error> {
    let Some(value) = metadata.get(key) else { return Ok(Vec::new()) };
    let Value::Array(array) = value else { return Err(Error::NoBytes(key)) };
    let byte = |value: Value| match value {
        Value::U8(byte) => Some(byte),
        Value::I8(byte) => Some(byte.cast_unsigned()),
        _ => None,
    };
    array.iter().map(byte).collect::<Option<_>>().ok_or(Error::NoBytes(key))
}

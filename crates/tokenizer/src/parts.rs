use gguf::Metadata;

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
    /// `tokenizer.ggml.add_space_prefix`.
    pub add_space_prefix: Option<bool>,
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

pub(crate) const SCORES: &str = "tokenizer.ggml.scores";
pub(crate) const TYPES: &str = "tokenizer.ggml.token_type";
pub(crate) const MERGES: &str = "tokenizer.ggml.merges";
const MODEL: &str = "tokenizer.ggml.model";
const TOKENS: &str = "tokenizer.ggml.tokens";

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
        Ok(Self {
            model: metadata.opt_str(MODEL)?.ok_or(Error::Missing(MODEL))?,
            pre: metadata.opt_str("tokenizer.ggml.pre")?.unwrap_or_default(),
            tokens: strings(TOKENS)?.ok_or(Error::Missing(TOKENS))?,
            scores: metadata.f32s(SCORES)?.unwrap_or_default(),
            types: metadata.i32s(TYPES)?.unwrap_or_default(),
            merges: strings(MERGES)?,
            ids,
            add_bos: metadata.opt_bool("tokenizer.ggml.add_bos_token")?,
            add_eos: metadata.opt_bool("tokenizer.ggml.add_eos_token")?,
            add_space_prefix: metadata.opt_bool("tokenizer.ggml.add_space_prefix")?,
            name: metadata.opt_str("general.name")?.unwrap_or_default(),
            architecture: metadata.opt_str("general.architecture")?.unwrap_or_default(),
        })
    }
}

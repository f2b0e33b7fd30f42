/// Why a model file has no usable tokenizer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key has the wrong type, or is missing.
    #[error(transparent)]
    Metadata(#[from] gguf::Error),
    /// The file has no such key.
    #[error("no key {0}, which this kind of tokenizer needs")]
    Missing(&'static str),
    /// `tokenizer.ggml.model` names no family this crate knows.
    #[error("unknown tokenizer model '{0}': expected one of {known}", known = crate::tokenizer::MODELS.join(", "))]
    UnknownModel(String),
    /// `tokenizer.ggml.pre` names no pre-tokenizer this crate knows.
    #[error("unknown pre-tokenizer '{name}': expected one of {known}")]
    UnknownPreTokenizer {
        /// The name in the file.
        name: String,
        /// All names, separated by commas.
        known: String,
    },
    /// An array has fewer items than there are tokens.
    #[error("{key} has {found} items: expected one for each of the {expected} tokens")]
    TooShort {
        /// Key of the array.
        key: &'static str,
        /// Number of tokens.
        expected: usize,
        /// Number of items.
        found: usize,
    },
    /// Two tokens have the same text.
    #[error("token {id} has the text '{text}' of an earlier token: expected each text once")]
    DuplicateToken {
        /// The later token.
        id: u32,
        /// The text of both.
        text: String,
    },
    /// A token has a score that can't be compared.
    #[error("token {id} has the score {score}: expected a finite number")]
    Score {
        /// The token.
        id: usize,
        /// Its score.
        score: f32,
    },
    /// The vocabulary has no token `<0xXX>` for a byte.
    #[error("no token <0x{0:02X}>, but this kind of tokenizer needs one for each byte")]
    MissingByte(u8),
    /// The value of a key is no array of bytes.
    #[error("{0} is no array of u8 or i8")]
    NoBytes(&'static str),
    /// `tokenizer.ggml.precompiled_charsmap` is broken.
    #[error(
        "tokenizer.ggml.precompiled_charsmap is cut off: expected a length, an array of that \
         length, and texts that end in zero bytes"
    )]
    Charsmap,
    /// The texts of all tokens together are too long to index.
    #[error("the vocabulary is too large: expected less than 2^31 tokens and 4 GiB of text")]
    TooLarge,
}

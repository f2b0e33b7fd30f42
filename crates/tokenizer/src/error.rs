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
    #[error("unknown tokenizer model '{0}': expected gpt2 or llama")]
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
    /// The texts of all tokens together are too long to index.
    #[error("the vocabulary is too large: expected less than 2^31 tokens and 4 GiB of text")]
    TooLarge,
}

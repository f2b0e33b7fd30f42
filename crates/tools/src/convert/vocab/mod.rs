//! The vocabulary of a model, in the form of model files.

mod bpe;
mod pre;
mod sentencepiece;
mod special;
mod template;
mod tokenizer_json;
pub mod wordpiece;

use gguf::{Value, ValueType};

use super::Error;
use super::config::Config;
use super::folder::Folder;
use super::pairs::Pairs;
use special::Special;
use template::Template;
use tokenizer_json::TokenizerJson;

/// Most tokens that a vocabulary may have.
const MAX_TOKENS: u32 = 1 << 22;

/// A vocabulary.
pub struct Vocabulary {
    /// `tokenizer.ggml.model`.
    pub model: &'static str,
    /// `tokenizer.ggml.pre`.
    pub pre: String,
    /// By id.
    pub tokens: Vec<Token>,
    /// Whether scores matter.
    pub has_scores: bool,
    /// Pairs in the order of merging, of a vocabulary that has them.
    pub merges: Vec<String>,
    /// How many kinds of tokens a model tells apart, where it does.
    pub token_types: Option<u32>,
    /// `tokenizer.ggml.add_space_prefix`.
    pub add_space_prefix: Option<bool>,
    /// Tokens of a meaning of their own.
    pub special: Special,
    /// How conversations become texts.
    pub template: Template,
}

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// As it is spelt.
    pub text: String,
    /// The higher, the sooner it is made.
    pub score: f32,
    /// What it is.
    pub kind: Kind,
}

/// `tokenizer.ggml.token_type`; these are the numbers of SentencePiece, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
#[repr(i32)]
pub enum Kind {
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

impl Token {
    fn new(text: impl Into<String>, score: f32, kind: Kind) -> Self {
        Self { text: text.into(), score, kind }
    }

    /// What fills an id that has no token.
    fn padding(id: usize) -> Self {
        Self::new(format!("[PAD{id}]"), -10_000.0, Kind::Unused)
    }

    fn is_padding(&self) -> bool {
        self.kind == Kind::Unused && self.text.starts_with("[PAD")
    }

    /// One that a tokenizer adds to those of its model.
    fn added(text: &str, is_special: bool) -> Self {
        match is_special || looks_special(text) {
            true => Self::new(text, -1000.0, Kind::Control),
            false => Self::new(text.replace('\u{2581}', " "), -1000.0, Kind::UserDefined),
        }
    }
}

/// Whether a token is a mark rather than text, whatever its file says; some files say it wrongly.
fn looks_special(text: &str) -> bool {
    let within = |start, end| text.starts_with(start) && text.ends_with(end);
    ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].contains(&text)
        || within("<|", "|>")
        || within("<\u{ff5c}", "\u{ff5c}>")
        || within("<unused", ">")
}

/// Reads the vocabulary of a folder: that of SentencePiece where it has one, else that of
/// `tokenizers`. `pre` names the pre-tokenizer where it isn't known.
pub fn read(config: &Config<'_>, folder: &Folder, pre: Option<&str>) -> Result<Vocabulary, Error> {
    let json = TokenizerJson::read(folder)?;
    let size = size(config)?;
    let mut vocabulary = match folder.opt_bytes(sentencepiece::FILE)? {
        Some(model) => sentencepiece::read(&model, folder, size, json.as_ref())?,
        None => match &json {
            Some(json) => bpe::read(json, folder, size, pre)?,
            None => {
                let what = format!("neither {} nor {}", sentencepiece::FILE, tokenizer_json::FILE);
                return Err(folder.wrong("", what, "the file of a tokenizer"));
            }
        },
    };
    vocabulary.special = Special::read(config, folder, json.as_ref(), &vocabulary.tokens)?;
    vocabulary.template = Template::read(folder)?;
    Ok(vocabulary)
}

/// Number of tokens.
fn size(config: &Config<'_>) -> Result<usize, Error> {
    match config.count("vocab_size")? {
        size @ ..=MAX_TOKENS => Ok(size as usize),
        _ => Err(config.wrong("vocab_size", &format!("at most {MAX_TOKENS}"))),
    }
}

impl Vocabulary {
    fn new(model: &'static str, tokens: Vec<Token>) -> Self {
        Self {
            model,
            pre: "default".into(),
            tokens,
            has_scores: false,
            merges: Vec::new(),
            token_types: None,
            add_space_prefix: None,
            special: Special::default(),
            template: Template::default(),
        }
    }

    /// Marks all that `tokenizer.json` adds to a vocabulary of SentencePiece as such, what that has as
    /// text included.
    pub fn mark_added(&mut self, folder: &Folder) -> Result<(), Error> {
        let json = TokenizerJson::read(folder)?.filter(|_| self.has_scores);
        for added in json.iter().flat_map(|json| &json.added_tokens) {
            if let Some(place) = self.tokens.get_mut(added.id as usize) {
                let kind = if added.special { Kind::Control } else { Kind::UserDefined };
                *place = Token::new(added.content.as_str(), -1000.0, kind);
            }
        }
        Ok(())
    }

    /// Adds it to the metadata.
    pub fn put(&self, pairs: &mut Pairs) -> Result<(), Error> {
        let key = |name: &str| format!("tokenizer.ggml.{name}");
        pairs.put(&key("model"), self.model)?;
        pairs.put(&key("pre"), self.pre.as_str())?;
        if let Some(count) = self.token_types {
            pairs.put(&key("token_type_count"), count)?;
        }
        let tokens = self.tokens.iter();
        let texts = tokens.clone().map(|token| token.text.as_str());
        pairs.put_array(&key("tokens"), ValueType::String, texts)?;
        if self.has_scores {
            let scores = tokens.clone().map(|token| token.score);
            pairs.put_array(&key("scores"), ValueType::F32, scores)?;
        }
        let kinds = tokens.map(|token| token.kind as i32);
        pairs.put_array(&key("token_type"), ValueType::I32, kinds)?;
        if !self.merges.is_empty() {
            let merges = self.merges.iter().map(|merge| Value::from(merge.as_str()));
            pairs.put_array(&key("merges"), ValueType::String, merges)?;
        }
        self.special.put(pairs)?;
        if let Some(add) = self.add_space_prefix {
            pairs.put(&key("add_space_prefix"), add)?;
        }
        self.template.put(pairs)
    }
}

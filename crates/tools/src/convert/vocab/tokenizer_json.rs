//! `tokenizer.json`: a tokenizer as the library `tokenizers` writes it.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Kind, Token};
use crate::convert::Error;
use crate::convert::folder::Folder;

/// Name of the file.
pub const FILE: &str = "tokenizer.json";

/// The parts that matter here.
#[derive(Debug, Deserialize)]
pub struct TokenizerJson {
    /// Vocabulary and how it is used.
    pub model: Model,
    /// Tokens that are found before the model sees the text.
    #[serde(default)]
    pub added_tokens: Vec<Added>,
    /// What changes the text first.
    #[serde(default)]
    pub normalizer: Value,
    /// What cuts it into words.
    #[serde(default)]
    pub pre_tokenizer: Value,
    /// What adds tokens around it.
    #[serde(default)]
    pub post_processor: Value,
}

/// Vocabulary and how it is used.
#[derive(Debug, Deserialize)]
pub struct Model {
    /// `BPE`, `WordPiece` or others; old files don't say.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Ids by token.
    pub vocab: HashMap<String, u32>,
    /// Pairs in the order of merging, of BPE.
    #[serde(default)]
    pub merges: Vec<Merge>,
    /// Whether text without tokens becomes one for each byte.
    #[serde(default)]
    pub byte_fallback: Option<bool>,
    /// Whether words that are tokens are taken whole.
    #[serde(default)]
    pub ignore_merges: Option<bool>,
}

/// A pair of tokens.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Merge {
    /// Apart by a space.
    Text(String),
    /// By themselves.
    Pair([String; 2]),
}

/// A token that is found before the model sees the text.
#[derive(Debug, Deserialize)]
pub struct Added {
    /// Its id.
    pub id: u32,
    /// Its text.
    pub content: String,
    /// Whether it is a mark rather than text.
    #[serde(default)]
    pub special: bool,
}

impl TokenizerJson {
    /// Reads the file; `None` where there is none.
    pub fn read(folder: &Folder) -> Result<Option<Self>, Error> {
        let Some(bytes) = folder.opt_bytes(FILE)? else { return Ok(None) };
        let parsed = serde_json::from_slice(&bytes);
        let wrong = |error: serde_json::Error| {
            folder.wrong(FILE, error.to_string(), "a tokenizer of the library tokenizers")
        };
        parsed.map(Some).map_err(wrong)
    }

    /// The tokens by id, `size` of them: those of the model as `normal` makes them, then those added.
    pub fn tokens(
        &self,
        folder: &Folder,
        size: usize,
        normal: impl Fn(&str) -> Token,
    ) -> Result<Vec<Token>, Error> {
        let mut tokens: Vec<Token> = (0..size).map(Token::padding).collect();
        let mut put = |id: u32, token: Token| match tokens.get_mut(id as usize) {
            Some(place) => {
                *place = token;
                Ok(())
            }
            None => {
                let what = format!("{} has id {id}", token.text);
                Err(folder.wrong(FILE, what, &format!("ids below {size}, by config.json")))
            }
        };
        for (text, &id) in &self.model.vocab {
            put(id, normal(text))?;
        }
        for added in &self.added_tokens {
            put(added.id, Token::added(&added.content, added.special))?;
        }
        Ok(tokens)
    }

    /// The id of an added token.
    pub fn added_id(&self, text: &str) -> Option<u32> {
        self.added_tokens.iter().find(|added| added.content == text).map(|added| added.id)
    }
}

/// The kind of a token of a model that falls back to bytes.
pub fn kind_with_bytes(text: &str) -> Kind {
    let digits = text.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    let is_byte = digits.is_some_and(|digits| {
        digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    });
    if is_byte { Kind::Byte } else { Kind::Normal }
}

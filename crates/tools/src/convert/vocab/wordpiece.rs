//! WordPiece, with marks at beginnings of words instead of continuations.

use super::special::Special;
use super::tokenizer_json::{FILE, TokenizerJson};
use super::{Kind, Token, Vocabulary, size};
use crate::convert::Error;
use crate::convert::config::Config;
use crate::convert::folder::Folder;

/// llama.cpp's name for the cutting of words that BERT has.
const PRE: &str = "jina-v2-en";

/// Reads the vocabulary of a folder.
pub fn read(config: &Config<'_>, folder: &Folder) -> Result<Vocabulary, Error> {
    let missing = || folder.wrong(FILE, "no such file".into(), "the file of a tokenizer");
    let json = TokenizerJson::read(folder)?.ok_or_else(missing)?;
    if let Some(kind) = json.model.kind.as_deref().filter(|&kind| kind != "WordPiece") {
        return Err(folder.wrong(FILE, format!("a model of type {kind}"), "WordPiece"));
    }
    let plain = |text: &str| Token::new(text, 0.0, Kind::Normal);
    let mut tokens = json.tokens(folder, size(config)?, plain)?;
    let special = Special::read(config, folder, Some(&json), &tokens)?;
    for token in tokens.iter_mut().filter(|token| token.kind != Kind::Control) {
        token.text = match token.text.strip_prefix("##") {
            Some(continuation) => continuation.to_owned(),
            None => format!("\u{2581}{}", token.text),
        };
    }
    let token_types = Some(config.count("type_vocab_size")?);
    let pre = PRE.to_owned();
    Ok(Vocabulary { pre, token_types, special, ..Vocabulary::new("bert", tokens) })
}

//! `llamafile tokenize`.

use std::fs;
use std::io::{self, Read};

use tools::tokenize;

use crate::answer::Output;
use crate::error::{CliError, describe};
use crate::settings::{Settings, Tokenized, unescape};
use crate::{measuring, models};

/// Prints the tokens of a text.
pub fn tokenize(settings: &Settings) -> Result<(), CliError> {
    let file = models::resolve(settings.model.as_deref(), settings.offline)?;
    let gguf = file.open().map_err(|error| measuring::explain(error.into()))?;
    let tokenizer = tokenizer::Tokenizer::from_metadata(gguf.metadata())
        .map_err(|error| CliError::new(error).within(&file).hint("use a model that reads texts"))?;
    let options = &settings.tokenize;
    let text = text(settings)?;
    let tokens = tokenizer.encode(&text, tokenizer.add_bos() && !options.no_bos, !options.plain);
    let mut printed = Vec::new();
    tokenize::print(&mut printed, &tokenizer, &tokens, options.format)
        .map_err(|error| CliError::new(format!("cannot print the tokens: {error}")))?;
    let mut out = Output::new();
    let _ = out.write_bytes(&printed);
    out.end()
}

fn text(settings: &Settings) -> Result<String, CliError> {
    let (read, name) = match &settings.tokenize.source {
        Tokenized::Prompt => return Ok(settings.prompt_text().unwrap_or_default()),
        Tokenized::File(path) => (fs::read_to_string(path), path.display().to_string()),
        Tokenized::Stdin => {
            let mut text = String::new();
            (io::stdin().read_to_string(&mut text).map(|_| text), "standard input".to_owned())
        }
    };
    let text = read.map_err(|error| {
        CliError::new(format!("cannot read {name}: {}", describe(&error)))
            .hint("give a UTF-8 text file")
    })?;
    Ok(if settings.escape.unwrap_or(true) { unescape(&text) } else { text })
}

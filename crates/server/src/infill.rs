//! Prompts of models that fill in the middle.

use serde::Deserialize;

use crate::error::{ApiError, Kind};
use crate::models::Loaded;

/// A gap to fill, in the names of llama.cpp.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Gap {
    /// The text before.
    pub input_prefix: String,
    /// The text after.
    pub input_suffix: String,
    /// Other files.
    pub input_extra: Vec<Extra>,
    /// How the missing text begins.
    pub prompt: Option<String>,
}

/// Text of another file, for context.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Extra {
    text: String,
    filename: String,
}

impl Gap {
    /// The prompt: other files, the text before, the text after.
    ///
    /// # Errors
    /// Models that don't do this.
    pub fn tokens(&self, model: &Loaded) -> Result<Vec<u32>, ApiError> {
        let tokenizer = model.engine().tokenizer();
        let special = tokenizer.special();
        let (Some(prefix), Some(suffix), Some(middle)) =
            (special.fim_pre, special.fim_suf, special.fim_mid)
        else {
            return Err(ApiError::new(Kind::Unsupported, "this model can't fill in the middle"));
        };
        let encode = |text: &str| tokenizer.encode(text, false, false);
        let mut tokens = Vec::new();
        tokens.extend(tokenizer.bos().filter(|_| tokenizer.add_bos()));
        if let Some(repository) = special.fim_rep {
            tokens.push(repository);
            tokens.extend(encode("myproject\n"));
        }
        for extra in &self.input_extra {
            let name = if extra.filename.is_empty() { "tmp" } else { &extra.filename };
            match special.fim_sep {
                Some(separator) => {
                    tokens.push(separator);
                    tokens.extend(encode(&format!("{name}\n")));
                }
                None => tokens.extend(encode("\n\n--- snippet ---\n\n")),
            }
            tokens.extend(encode(&extra.text));
        }
        if let Some(separator) = special.fim_sep {
            tokens.push(separator);
            tokens.extend(encode("filename\n"));
        }
        tokens.push(prefix);
        tokens.extend(encode(&self.input_prefix));
        tokens.push(suffix);
        tokens.extend(encode(&self.input_suffix));
        tokens.push(middle);
        tokens.extend(encode(self.prompt.as_deref().unwrap_or_default()));
        Ok(tokens)
    }
}

//! Answers of models that read a whole text first, with an encoder (T5).

use crate::{Engine, Error, Session};

impl Engine {
    /// Whether an encoder reads the text, so that [`Session::encode`] takes it.
    pub fn has_encoder(&self) -> bool {
        self.model.encoder().is_some()
    }
}

impl Session<'_> {
    /// Has the model's encoder read a text; what the session holds then is the token that answers
    /// begin with.
    ///
    /// # Errors
    /// Models without an encoder, an empty text and one that is too long.
    pub fn encode(&mut self, tokens: &[u32]) -> Result<(), Error> {
        let n_ctx = self.n_ctx();
        if tokens.len() > n_ctx {
            return Err(Error::PromptTooLong { tokens: tokens.len(), n_ctx });
        }
        let (model, tokenizer) = (&self.engine.model, &self.engine.tokenizer);
        // Without one that the file names, llama.cpp takes the token that begins texts.
        let start = model.answer_start().or(tokenizer.bos()).ok_or(Error::EmptyPrompt)?;
        self.clear();
        let begun = std::time::Instant::now();
        self.context.encode(0, tokens)?;
        self.stats.prompt_tokens += tokens.len();
        self.stats.prompt_time += begun.elapsed();
        self.tokens.push(start);
        Ok(())
    }
}

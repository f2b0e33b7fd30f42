use std::ops::Deref;

use crate::Tokenizer;

/// Turns tokens into text as they come, never giving out part of a character.
///
/// Bytes that can't become UTF-8 any more give U+FFFD.
pub struct Decoder<T> {
    tokenizer: T,
    render_special: bool,
    shown: Vec<u32>,
    /// Bytes of a character that is not complete, at most 3.
    pending: Vec<u8>,
    text: String,
}

impl<T: Deref<Target = Tokenizer>> Decoder<T> {
    /// Decodes with a tokenizer, borrowed or shared; special tokens are rendered or left out.
    pub fn new(tokenizer: T, render_special: bool) -> Self {
        Self {
            tokenizer,
            render_special,
            shown: Vec::new(),
            pending: Vec::new(),
            text: String::new(),
        }
    }

    /// With these special tokens rendered in any case.
    #[must_use]
    pub fn showing(self, ids: &[u32]) -> Self {
        Self { shown: ids.to_vec(), ..self }
    }

    /// The text that `id` completes; may be empty.
    pub fn push(&mut self, id: u32) -> &str {
        self.text.clear();
        let visible =
            self.render_special || !self.tokenizer.is_hidden(id) || self.shown.contains(&id);
        if let Some(piece) = self.tokenizer.token_bytes(id).filter(|_| visible) {
            self.pending.extend_from_slice(&piece);
            self.complete();
        }
        &self.text
    }

    /// What is left when no token follows: U+FFFD for an incomplete character.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }

    /// Moves all but an incomplete character at the end from `pending` to `text`.
    fn complete(&mut self) {
        let mut done = 0;
        for chunk in self.pending.utf8_chunks() {
            self.text.push_str(chunk.valid());
            done += chunk.valid().len();
            let invalid = chunk.invalid();
            let at_end = done + invalid.len() == self.pending.len();
            if at_end && is_incomplete(invalid) {
                break;
            }
            if !invalid.is_empty() {
                self.text.push(char::REPLACEMENT_CHARACTER);
                done += invalid.len();
            }
        }
        self.pending.drain(..done);
    }
}

/// Whether more bytes could make `bytes` a character.
fn is_incomplete(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

//! The tokenizer as samplers see it.

use std::borrow::Cow;
use std::sync::Arc;

use sample::Vocabulary;
use tokenizer::Tokenizer;

/// A tokenizer as samplers see it.
pub(crate) struct Words(pub(crate) Arc<Tokenizer>);

impl Vocabulary for Words {
    fn n_tokens(&self) -> usize {
        self.0.n_vocab()
    }

    fn bytes(&self, token: u32) -> Cow<'_, [u8]> {
        self.0.token_bytes(token).unwrap_or_default()
    }

    fn is_control(&self, token: u32) -> bool {
        self.0.is_control(token)
    }

    fn encode(&self, text: &str) -> Vec<u32> {
        self.0.encode(text, false, false)
    }

    fn end_tokens(&self) -> &[u32] {
        self.0.eog_tokens()
    }

    fn end_of_turn(&self) -> Option<u32> {
        self.0.special().eot.or(self.0.eos())
    }

    fn suppressed(&self) -> &[u32] {
        self.0.suppressed_tokens()
    }
}

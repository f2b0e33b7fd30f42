use std::borrow::Cow;

/// What samplers ask of a model's vocabulary.
pub trait Vocabulary: Send + Sync {
    /// Number of tokens.
    fn n_tokens(&self) -> usize;

    /// The bytes that a token stands for, those of control tokens too.
    fn bytes(&self, token: u32) -> Cow<'_, [u8]>;

    /// Whether a token is a control token, which gives no text.
    fn is_control(&self, token: u32) -> bool;

    /// The tokens of plain text, without any for its ends.
    fn encode(&self, text: &str) -> Vec<u32>;

    /// Tokens that end a generation, ascending.
    fn end_tokens(&self) -> &[u32];

    /// The token that ends a turn or, failing that, a text.
    fn end_of_turn(&self) -> Option<u32>;

    /// Tokens never to be generated.
    fn suppressed(&self) -> &[u32];
}

/// A vocabulary to test with.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    pub(crate) struct Words {
        words: Vec<String>,
        pub(crate) ends: Vec<u32>,
        pub(crate) suppressed: Vec<u32>,
    }

    impl Words {
        pub(crate) fn new(words: &[&str]) -> Self {
            let words = words.iter().map(|s| s.to_string()).collect();
            Self { words, ends: Vec::new(), suppressed: Vec::new() }
        }

        /// One token for each letter from a to z.
        pub(crate) fn letters() -> Self {
            let words = ('a'..='z').map(String::from).collect();
            Self { words, ends: Vec::new(), suppressed: Vec::new() }
        }
    }

    impl Vocabulary for Words {
        fn n_tokens(&self) -> usize {
            self.words.len()
        }

        fn bytes(&self, token: u32) -> Cow<'_, [u8]> {
            Cow::Borrowed(self.words[token as usize].as_bytes())
        }

        fn is_control(&self, token: u32) -> bool {
            self.ends.contains(&token)
        }

        fn encode(&self, text: &str) -> Vec<u32> {
            let id = |c: char| self.words.iter().position(|w| *w == String::from(c));
            text.chars().filter_map(id).map(|id| id as u32).collect()
        }

        fn end_tokens(&self) -> &[u32] {
            &self.ends
        }

        fn end_of_turn(&self) -> Option<u32> {
            self.ends.first().copied()
        }

        fn suppressed(&self) -> &[u32] {
            &self.suppressed
        }
    }
}

//! Pre-tokenizers: cutting text into the words within which BPE may merge.
//!
//! A model file names its pre-tokenizer (`tokenizer.ggml.pre`). Each name
//! stands for a list of stages; a stage cuts what the one before it left, and
//! is written by hand after a regular expression, which it quotes. Where
//! llama.cpp finds something else than its expression says, so do these.

mod cased;
mod chars;
mod cuts;
mod deepseek;
mod kimi;
mod scripts;
mod table;
mod words;

pub(crate) use table::{PreTokenizer, Spelling};

/// Cuts a text that is not empty into words that are not empty.
enum Stage {
    /// The byte length of the first word; at a character boundary.
    First(fn(&str) -> usize),
    /// Passes on all words.
    All(for<'t> fn(&'t str, &mut dyn FnMut(&'t str))),
}

/// The pre-tokenizer called `name`; the empty name is the default one's.
pub(crate) fn find(name: &str) -> Option<&'static PreTokenizer> {
    table::TABLE.iter().find(|pre| pre.names.contains(&name))
}

/// All names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> + Clone {
    table::TABLE.iter().flat_map(|pre| pre.names).copied().filter(|name| !name.is_empty())
}

impl PreTokenizer {
    /// Passes the words of `text` to `word`, in order and without gaps.
    pub(crate) fn split<'t>(&self, text: &'t str, word: &mut dyn FnMut(&'t str)) {
        split(self.stages, text, word);
    }
}

fn split<'t>(stages: &[Stage], mut text: &'t str, word: &mut dyn FnMut(&'t str)) {
    let Some((stage, rest)) = stages.split_first() else {
        return word(text);
    };
    match stage {
        Stage::First(length) => {
            while !text.is_empty() {
                let (first, tail) = text.split_at(length(text));
                split(rest, first, word);
                text = tail;
            }
        }
        Stage::All(words) => words(text, &mut |first| split(rest, first, word)),
    }
}

#[cfg(test)]
mod expressions;
#[cfg(test)]
mod tests;

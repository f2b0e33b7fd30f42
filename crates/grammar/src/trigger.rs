use fancy_regex::Regex;

use crate::Error;

/// What starts a lazy grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// A token; it is the first of the text held to the grammar.
    Token(u32),
    /// A text, which begins the text held to the grammar.
    Word(String),
    /// A regular expression. The text held to the grammar begins with what its first group that is
    /// not empty matches, or else with the whole match.
    Pattern(String),
    /// The same, but it has to match the whole text so far.
    PatternFull(String),
}

/// Triggers, ready to be looked for.
#[derive(Debug)]
pub(crate) struct Triggers {
    tokens: Vec<u32>,
    words: Vec<String>,
    patterns: Vec<Regex>,
}

impl Triggers {
    pub(crate) fn new(triggers: &[Trigger]) -> Result<Self, Error> {
        let mut all = Self { tokens: Vec::new(), words: Vec::new(), patterns: Vec::new() };
        for trigger in triggers {
            match trigger {
                Trigger::Token(token) => all.tokens.push(*token),
                Trigger::Word(word) => all.words.push(word.clone()),
                Trigger::Pattern(pattern) => all.patterns.push(compile(pattern)?),
                Trigger::PatternFull(pattern) => {
                    all.patterns.push(compile(&format!("^(?:{pattern})$"))?);
                }
            }
        }
        Ok(all)
    }

    pub(crate) fn is_token(&self, token: u32) -> bool {
        self.tokens.contains(&token)
    }

    /// Where in `text` the text held to the grammar begins; `new` of its bytes were not there at
    /// the last look.
    pub(crate) fn find(&self, text: &str, new: usize) -> Option<usize> {
        let word = |word: &String| {
            let mut from = text.len().saturating_sub(new + word.len());
            while !text.is_char_boundary(from) {
                from -= 1;
            }
            Some(from + text[from..].find(word.as_str())?)
        };
        let pattern = |pattern: &Regex| {
            // A pattern that gives up has not matched.
            let found = pattern.captures(text).ok()??;
            let group = found.iter().skip(1).flatten().find(|group| !group.range().is_empty());
            group.or(found.get(0)).map(|group| group.start())
        };
        self.words.iter().find_map(word).or_else(|| self.patterns.iter().find_map(pattern))
    }
}

fn compile(pattern: &str) -> Result<Regex, Error> {
    Regex::new(pattern)
        .map_err(|e| Error::Trigger { pattern: pattern.to_owned(), message: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(trigger: Trigger, text: &str, new: usize) -> Option<usize> {
        Triggers::new(&[trigger]).expect("valid triggers").find(text, new)
    }

    #[test]
    fn words_and_patterns_tell_where_the_grammar_begins() {
        let word = || Trigger::Word("<call>".into());
        assert_eq!(found(word(), "so é <call>", 1), Some(6));
        assert_eq!(found(word(), "so <call", 8), None);
        let pattern = Trigger::Pattern(r"\s+(\{)|x(y)".into());
        assert_eq!(found(pattern.clone(), "a  {", 1), Some(3));
        assert_eq!(found(pattern.clone(), "axy", 1), Some(2));
        assert_eq!(found(Trigger::Pattern("b+".into()), "abbc", 1), Some(1));
        let full = Trigger::PatternFull("a*(b)".into());
        assert_eq!(found(full.clone(), "aab", 1), Some(2));
        assert_eq!(found(full, "aabc", 1), None);
        assert!(Triggers::new(&[Trigger::Pattern("(".into())]).is_err());
    }
}

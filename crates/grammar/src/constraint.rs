use std::sync::Arc;

use llguidance::Matcher;

use crate::trigger::Triggers;
use crate::{Error, Grammar, TokenSet, Vocabulary};

/// Holds one text to a grammar, token by token. A clone goes its own way from here.
#[derive(Clone)]
pub struct Constraint {
    vocabulary: Vocabulary,
    matcher: Matcher,
    waiting: Option<Waiting>,
    ended: bool,
    /// What is allowed next, once it is known.
    allowed: Option<TokenSet>,
}

/// A lazy grammar that has not begun.
#[derive(Clone)]
struct Waiting {
    triggers: Arc<Triggers>,
    /// The text so far.
    text: Vec<u8>,
    /// Its tokens, and where each begins.
    tokens: Vec<(u32, usize)>,
}

impl Constraint {
    /// Holds the tokens that follow to `grammar`. Compiling it and finding what may come first takes
    /// up to tens of milliseconds, but only once for a grammar and its clones.
    ///
    /// # Errors
    /// When the grammar can't be compiled, allows no text at all, or is too complex.
    pub fn new(grammar: &Grammar, vocabulary: &Vocabulary) -> Result<Self, Error> {
        if let Some(made) = grammar.made().filter(|made| made.vocabulary.is(vocabulary)) {
            return Ok(made.clone());
        }
        let mut made = Self::compile(grammar, vocabulary)?;
        made.allowed()?;
        grammar.keep(&made);
        Ok(made)
    }

    fn compile(grammar: &Grammar, vocabulary: &Vocabulary) -> Result<Self, Error> {
        let compiled = grammar.compile(vocabulary)?;
        let parser = vocabulary.factory().create_parser(compiled);
        let parser = parser.map_err(|error| Error::Compile(first_line(&error.to_string())))?;
        let waiting = grammar.triggers().map(|triggers| Waiting {
            triggers: triggers.clone(),
            text: Vec::new(),
            tokens: Vec::new(),
        });
        let (vocabulary, matcher) = (vocabulary.clone(), Matcher::new(Ok(parser)));
        Ok(Self { vocabulary, matcher, waiting, ended: false, allowed: None })
    }

    /// The tokens that may come next; `None` allows all, before a lazy grammar begins. Tokens that
    /// end a generation are among them exactly where the grammar may end.
    ///
    /// # Errors
    /// [`Error::TooComplex`] when this takes more work than it may.
    pub fn allowed(&mut self) -> Result<Option<&TokenSet>, Error> {
        if self.waiting.is_some() {
            return Ok(None);
        }
        if self.allowed.is_none() {
            self.allowed = Some(self.compute_allowed()?);
        }
        Ok(self.allowed.as_ref())
    }

    /// Goes on with `token`.
    ///
    /// # Errors
    /// [`Error::Refused`] when the grammar does not allow it; the constraint is of no use then.
    pub fn accept(&mut self, token: u32) -> Result<(), Error> {
        self.allowed = None;
        match self.waiting.take() {
            Some(waiting) => self.wait(waiting, token),
            None if self.vocabulary.ends().contains(token) => {
                self.ended = true;
                if self.may_end() { Ok(()) } else { Err(Error::Refused(token)) }
            }
            None => self.consume(token),
        }
    }

    /// Tokens that have to come next, as the tokenizer would write them: the model need not be
    /// asked. They are not accepted yet.
    pub fn forced(&mut self) -> Vec<u32> {
        if self.waiting.is_some() || self.ended || self.matcher.is_stopped() {
            return Vec::new();
        }
        self.matcher.compute_ff_tokens()
    }

    /// Whether the text may end here: always, before a lazy grammar begins.
    pub fn may_end(&mut self) -> bool {
        self.waiting.is_some()
            || (!self.matcher.is_error() && self.matcher.is_accepting().unwrap_or(false))
    }

    /// Whether the grammar allows nothing more but the end.
    pub fn is_complete(&mut self) -> bool {
        self.waiting.is_none()
            && (self.ended || (!self.matcher.is_error() && self.matcher.is_stopped()))
    }

    /// The vocabulary that tokens are of.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Whether text is held to the grammar: a lazy one may not have begun.
    pub fn is_active(&self) -> bool {
        self.waiting.is_none()
    }

    fn compute_allowed(&mut self) -> Result<TokenSet, Error> {
        if self.is_complete() {
            return Ok(self.vocabulary.ends().clone());
        }
        let mask = self.matcher.compute_mask();
        let mask = mask.map_err(|error| Error::TooComplex(first_line(&error.to_string())))?;
        let mut allowed = TokenSet::from_words(mask.as_slice());
        // The spare token and those that end are none of the grammar's.
        allowed.set(self.vocabulary.n_tokens() as u32, false);
        let may_end = self.may_end();
        for end in self.vocabulary.tokenizer().eog_tokens() {
            allowed.set(*end, may_end);
        }
        Ok(allowed)
    }

    fn consume(&mut self, token: u32) -> Result<(), Error> {
        if self.ended || self.matcher.is_stopped() || token as usize >= self.vocabulary.n_tokens() {
            return Err(Error::Refused(token));
        }
        self.matcher.consume_token(token).map_err(|_| Error::Refused(token))
    }

    /// Begins if `token` is or completes a trigger.
    fn wait(&mut self, mut waiting: Waiting, token: u32) -> Result<(), Error> {
        if waiting.triggers.is_token(token) {
            return self.consume(token);
        }
        let bytes = self.vocabulary.tokenizer().token_bytes(token).unwrap_or_default();
        waiting.tokens.push((token, waiting.text.len()));
        waiting.text.extend_from_slice(&bytes);
        // A character that is not whole yet is looked at with the next token.
        let whole = waiting.text.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let found = waiting.triggers.find(whole, bytes.len() + 4);
        let Some(begin) = found else {
            self.waiting = Some(waiting);
            return Ok(());
        };
        let within = waiting.tokens.partition_point(|(_, start)| *start <= begin) - 1;
        let (first, start) = waiting.tokens[within];
        let rest = &waiting.tokens[within + 1..];
        if start == begin {
            self.consume(first)?;
        } else {
            let end = rest.first().map_or(waiting.text.len(), |(_, start)| *start);
            for token in self.vocabulary.spell(&waiting.text[begin..end]) {
                self.consume(token)?;
            }
        }
        rest.iter().try_for_each(|(token, _)| self.consume(*token))
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

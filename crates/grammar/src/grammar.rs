use std::fmt;
use std::sync::{Arc, OnceLock};

use llguidance::api::TopLevelGrammar;
use serde_json::{Value, json};

use crate::gbnf::Gbnf;
use crate::trigger::{Trigger, Triggers};
use crate::{Constraint, Error, Vocabulary, schema};

/// What a text is held to. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Grammar {
    source: Arc<Source>,
    triggers: Option<Arc<Triggers>>,
    made: Arc<Made>,
}

/// The first constraint of a grammar, at its beginning.
#[derive(Default)]
struct Made(OnceLock<Constraint>);

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Made({})", self.0.get().is_some())
    }
}

#[derive(Debug)]
enum Source {
    Gbnf(Gbnf),
    Schema(Value),
    Regex(String),
    Lark(String),
}

impl Grammar {
    /// A grammar in llama.cpp's notation; one that begins with `%llguidance` is taken for Lark, as
    /// in llama.cpp.
    ///
    /// # Errors
    /// When the grammar is not well-formed, left-recursive, or too large.
    pub fn gbnf(text: &str) -> Result<Self, Error> {
        if text.starts_with("%llguidance") {
            return Ok(Self::lark(text));
        }
        Ok(Self::of(Source::Gbnf(Gbnf::parse(text)?)))
    }

    /// JSON of a schema (JSON Schema 2020-12 and older). As in llama.cpp, objects have only the
    /// properties that the schema lists, in their order, unless `additionalProperties` asks for
    /// others.
    ///
    /// # Errors
    /// [`Error::UnsupportedKeyword`] names the first keyword that is not supported.
    pub fn json_schema(schema: &Value) -> Result<Self, Error> {
        Ok(Self::of(Source::Schema(schema::prepare(schema)?)))
    }

    /// JSON of a schema given as text.
    ///
    /// # Errors
    /// As [`Grammar::json_schema`], and [`Error::Json`] when the text is not JSON.
    pub fn json_schema_text(schema: &str) -> Result<Self, Error> {
        let schema = serde_json::from_str(schema).map_err(|e| Error::Json(e.to_string()))?;
        Self::json_schema(&schema)
    }

    /// Any JSON object.
    ///
    /// # Errors
    /// None that are known; as [`Grammar::json_schema`].
    pub fn json_object() -> Result<Self, Error> {
        Self::json_schema(&json!({"type": "object"}))
    }

    /// Text that matches a regular expression (in the syntax of Rust's `regex`) as a whole.
    pub fn regex(pattern: &str) -> Self {
        Self::of(Source::Regex(pattern.to_owned()))
    }

    /// Text that follows a grammar in llguidance's Lark.
    pub fn lark(text: &str) -> Self {
        Self::of(Source::Lark(text.to_owned()))
    }

    /// The same grammar, but text is held to it only from the first of `triggers` on. Without any
    /// it never is.
    ///
    /// # Errors
    /// [`Error::Trigger`] when a pattern is no regular expression.
    pub fn lazy(mut self, triggers: &[Trigger]) -> Result<Self, Error> {
        self.triggers = Some(Arc::new(Triggers::new(triggers)?));
        self.made = Arc::default();
        Ok(self)
    }

    /// A constraint of this grammar at its beginning, of the vocabulary that the first was made for.
    pub(crate) fn made(&self) -> Option<&Constraint> {
        self.made.0.get()
    }

    /// Keeps the first constraint made.
    pub(crate) fn keep(&self, made: &Constraint) {
        self.made.0.get_or_init(|| made.clone());
    }

    pub(crate) fn triggers(&self) -> Option<&Arc<Triggers>> {
        self.triggers.as_ref()
    }

    /// The grammar as the parser takes it.
    pub(crate) fn compile(&self, vocabulary: &Vocabulary) -> Result<TopLevelGrammar, Error> {
        Ok(match &*self.source {
            Source::Gbnf(gbnf) => TopLevelGrammar::from_lark(gbnf.to_lark(vocabulary)?),
            Source::Schema(schema) => TopLevelGrammar::from_json_schema(schema.clone()),
            Source::Regex(pattern) => TopLevelGrammar::from_regex(pattern),
            Source::Lark(text) => TopLevelGrammar::from_lark(text.clone()),
        })
    }

    fn of(source: Source) -> Self {
        Self { source: Arc::new(source), triggers: None, made: Arc::default() }
    }
}

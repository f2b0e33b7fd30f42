use thiserror::Error;

/// Why text can't be held to a grammar.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// A GBNF grammar is not well-formed.
    #[error("grammar, line {line}: {message}")]
    Gbnf {
        /// Line of the mistake, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A rule of a GBNF grammar is used and not defined.
    #[error("grammar: the rule \"{0}\" is not defined")]
    UndefinedRule(String),
    /// A rule of a GBNF grammar can begin with itself.
    #[error("grammar: the rule \"{0}\" is left-recursive: it may begin with itself")]
    LeftRecursion(String),
    /// A grammar names a token that the vocabulary does not have.
    #[error("grammar: {0} is no single token of the vocabulary")]
    UnknownToken(String),
    /// A JSON schema is not JSON.
    #[error("JSON schema: {0}")]
    Json(String),
    /// A JSON schema uses a keyword that is not supported.
    #[error("JSON schema, {path}: the keyword \"{keyword}\" is not supported")]
    UnsupportedKeyword {
        /// The keyword.
        keyword: String,
        /// Where it is, such as `#/properties/name`.
        path: String,
    },
    /// A keyword of a JSON schema has a value that it can't have.
    #[error("JSON schema, {path}: \"{keyword}\" must be {expected}")]
    Schema {
        /// The keyword.
        keyword: String,
        /// Where it is.
        path: String,
        /// What it must be.
        expected: String,
    },
    /// The grammar can't be compiled.
    #[error("grammar: {0}")]
    Compile(String),
    /// A grammar is too large, too deep or too complex.
    #[error("grammar: {what} is {size}, the limit is {limit}")]
    Limit {
        /// What is too much.
        what: &'static str,
        /// How much it is.
        size: usize,
        /// How much may be.
        limit: usize,
    },
    /// A trigger is no regular expression.
    #[error("grammar trigger \"{pattern}\": {message}")]
    Trigger {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// The vocabulary can't be used.
    #[error("vocabulary: {0}")]
    Vocabulary(String),
    /// A token was accepted that the grammar forbids.
    #[error("the grammar does not allow token {0} here")]
    Refused(u32),
    /// Following the grammar took more work than a token may.
    #[error("the grammar is too complex to follow: {0}")]
    TooComplex(String),
}

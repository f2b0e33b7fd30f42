//! What is asked of a model, and what comes back.

use std::time::Duration;

use grammar::Grammar;
use sample::{Params, Probabilities};

use crate::{Error, Finish, Stats};

/// A text to continue.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Tokens of the text.
    pub prompt: Vec<u32>,
    /// How tokens are chosen.
    pub sampling: Params,
    /// What the answer is held to.
    pub grammar: Option<Grammar>,
    /// Tokens to generate at most; `None` for what the context has room for.
    pub limit: Option<usize>,
    /// Time to generate at most, from the first token on.
    pub time_limit: Option<Duration>,
    /// Texts that end the answer; they are not part of it.
    pub stops: Vec<String>,
    /// Whether special tokens of the answer are rendered as text.
    pub render_special: bool,
    /// Special tokens that are rendered as text in any case.
    pub visible: Vec<u32>,
    /// Whether the prompt's beginning may come from memory.
    pub use_cache: bool,
    /// Tokens at the beginning to keep where the context is full: half of the others are forgotten
    /// then and generation goes on. `None` ends it there.
    pub shift: Option<usize>,
    /// Who asks: the engine serves clients in turns. Any number.
    pub client: u64,
}

/// A step of the way to an answer.
#[derive(Debug)]
pub enum Event {
    /// Part of the prompt was evaluated.
    Prompt(Progress),
    /// The answer has grown.
    Text {
        /// What was added, in whole characters.
        text: String,
        /// The tokens chosen since the last time; the end of the text may be held back.
        tokens: Vec<Choice>,
        /// Work so far.
        stats: Stats,
    },
    /// The answer is complete.
    Done(Outcome),
    /// What was asked for of [`crate::Texts`]: of each text one vector, or without pooling one for each
    /// token; scores from a model that ranks.
    Vectors(Vec<Vec<Vec<f32>>>),
    /// There will be no more of it.
    Failed(Error),
}

/// A token of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The token.
    pub id: u32,
    /// How likely it was, and which others were, where [`Params::n_probs`] asks for that.
    pub probabilities: Option<Probabilities>,
}

/// How much of a prompt is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Tokens of the prompt.
    pub total: usize,
    /// Those of them that memory had from earlier requests.
    pub cached: usize,
    /// Those in memory now.
    pub done: usize,
}

/// How an answer has ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Why.
    pub finish: Finish,
    /// The stop text that was found.
    pub stop: Option<String>,
    /// Work and time.
    pub stats: Stats,
    /// The seed in use.
    pub seed: u32,
    /// Whether part of the text was forgotten on the way, see [`Request::shift`].
    pub shifted: bool,
}

/// Where events go.
pub trait Client: Send {
    /// Takes the next event.
    fn send(&mut self, event: Event);

    /// Whether nobody waits for events any more: the request is dropped then.
    fn is_gone(&self) -> bool;
}

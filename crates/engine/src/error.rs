//! Why generation is impossible.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::plan::Bytes;

/// Why generation is impossible.
#[derive(Debug, Error)]
pub enum Error {
    /// The file is not a valid model file.
    #[error(transparent)]
    File(#[from] gguf::Error),
    /// The model can't be loaded or run.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// The vocabulary can't be used.
    #[error(transparent)]
    Tokenizer(#[from] tokenizer::Error),
    /// The chat template can't be used.
    #[error(transparent)]
    Template(#[from] chat::Error),
    /// Threads can't run where they shall.
    #[error(transparent)]
    Placement(#[from] cpu::topology::PlacementError),
    /// No token can be chosen.
    #[error(transparent)]
    Sample(#[from] sample::SampleError),
    /// Text can't be held to a grammar.
    #[error(transparent)]
    Grammar(#[from] grammar::Error),
    /// More vocabulary entries than embeddings.
    #[error("the vocabulary has {tokens} tokens, but the model embeds only {rows}")]
    Vocabulary {
        /// Entries of the vocabulary.
        tokens: usize,
        /// Rows of the token embedding.
        rows: usize,
    },
    /// A model that embeds text instead of continuing it.
    #[error("'{architecture}' models make embeddings and can't generate text")]
    NotGenerative {
        /// The architecture.
        architecture: String,
    },
    /// A model that generates token by token, or a file that doesn't say what a mask is.
    #[error("the model has no masks to fill in")]
    NoMasks,
    /// No logits to draw a token from.
    #[error("the model gave no token a chance")]
    NoToken,
    /// A draft model of another vocabulary.
    #[error("the draft model can't help the other one: {0}")]
    OtherVocabulary(String),
    /// A context of no positions.
    #[error("a context needs at least one position")]
    EmptyContext,
    /// Not enough memory.
    #[error(
        "a context of {n_ctx} tokens needs {}, {} of it for the weights, but only {} of memory are \
         available; {}",
        needed.map_or("more memory than can be addressed".to_owned(), |n| Bytes(n).to_string()),
        Bytes(*weights),
        Bytes(*available),
        remedy(*longest)
    )]
    TooLarge {
        /// Positions asked for.
        n_ctx: usize,
        /// Bytes for all of it.
        needed: Option<u64>,
        /// Bytes of the model file.
        weights: u64,
        /// Bytes available.
        available: u64,
        /// Positions of the longest text that fits.
        longest: usize,
    },
    /// The prompt leaves no room for an answer.
    #[error("the prompt has {tokens} tokens, but the context holds {n_ctx}")]
    PromptTooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Positions of the context.
        n_ctx: usize,
    },
    /// The batch that a request was part of can't be evaluated.
    #[error(transparent)]
    Batch(Arc<Error>),
    /// More requests wait than the queue has room for.
    #[error("{waiting} requests wait already; try again later")]
    Busy {
        /// Requests that wait.
        waiting: usize,
    },
    /// The folder of the disk cache can't be used.
    #[error("the disk cache can't be kept in {}: {error}", dir.display())]
    DiskCache {
        /// The folder.
        dir: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A fleet has no model of this name.
    #[error("there is no model '{name}'; there are {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") })]
    NoModel {
        /// The name asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The model of a fleet is not loaded, and shall not be by itself.
    #[error("model '{name}' is not loaded")]
    NotLoaded {
        /// Its name.
        name: String,
    },
    /// Other models are at work that would have to make room.
    #[error("there is no room for model '{name}' beside those that are at work; try again later")]
    FleetBusy {
        /// Its name.
        name: String,
    },
    /// No such slot.
    #[error("there is no slot {id}; slots are numbered from 0 to {}", n_slots.saturating_sub(1))]
    NoSlot {
        /// The number given.
        id: usize,
        /// Number of slots.
        n_slots: usize,
    },
    /// The slot has a request to work on.
    #[error("slot {id} is at work; try again when its request is done")]
    SlotBusy {
        /// Its number.
        id: usize,
    },
    /// A slot's text was forgotten, as others needed the room or went on from it.
    #[error("memory no longer holds the text of slot {id}: others needed the room")]
    SlotLost {
        /// Its number.
        id: usize,
    },
    /// The file of a slot can't be written or read.
    #[error("{}: {error}", path.display())]
    SlotFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The file of a slot is damaged, or of another model or settings.
    #[error("{} was not saved by this model with these settings, or is damaged", path.display())]
    NoSlotFile {
        /// The file.
        path: PathBuf,
    },
    /// No thread can be started.
    #[error("no thread can be started for the engine: {0}")]
    Thread(#[source] std::io::Error),
    /// The engine takes no requests any more.
    #[error("the engine has stopped")]
    Stopped,
    /// Nothing to continue from.
    #[error("there is no prompt to continue")]
    EmptyPrompt,
}

/// What helps where memory is short.
fn remedy(longest: usize) -> String {
    match longest {
        0 => "no context fits beside the weights: take a model of fewer parameters or bits, or close \
              other programs"
            .to_owned(),
        n => format!("give {n} tokens or less with -c {n}"),
    }
}

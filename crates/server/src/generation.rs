//! From the engine's thread to tasks that answer clients.

use engine::{Client, Event, Request, Texts};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::error::ApiError;
use crate::models::Loaded;

/// The events of a request. Dropping it cancels the request.
pub struct Generation {
    events: UnboundedReceiver<Event>,
}

/// The engine's end. It holds at most the events of one answer, as that is as long as the context.
struct Sender(UnboundedSender<Event>);

impl Client for Sender {
    fn send(&mut self, event: Event) {
        // Where nobody listens any more, `is_gone` says so.
        let _ = self.0.send(event);
    }

    fn is_gone(&self) -> bool {
        self.0.is_closed()
    }
}

impl Generation {
    /// Hands a request to a model.
    ///
    /// # Errors
    /// Prompts that don't fit the context, and more requests than may wait.
    pub fn start(model: &Loaded, request: Request) -> Result<Self, ApiError> {
        let (tokens, n_ctx) = (request.prompt.len(), model.n_ctx());
        if tokens > n_ctx {
            return Err(engine::Error::PromptTooLong { tokens, n_ctx }.into());
        }
        let (sender, events) = unbounded_channel();
        model.worker().submit(request, Box::new(Sender(sender)))?;
        Ok(Self { events })
    }

    /// Asks for the vectors of texts.
    ///
    /// # Errors
    /// Texts that don't fit the context, and more requests than may wait.
    pub fn embed(model: &Loaded, texts: Texts) -> Result<Self, ApiError> {
        let n_ctx = model.n_ctx();
        if let Some(tokens) = texts.texts.iter().map(Vec::len).find(|&tokens| tokens > n_ctx) {
            return Err(engine::Error::PromptTooLong { tokens, n_ctx }.into());
        }
        let (sender, events) = unbounded_channel();
        model.worker().embed(texts, Box::new(Sender(sender)))?;
        Ok(Self { events })
    }

    /// The vectors that were asked for.
    ///
    /// # Errors
    /// The engine's.
    pub async fn vectors(mut self) -> Result<Vec<Vec<Vec<f32>>>, ApiError> {
        loop {
            if let Event::Vectors(vectors) = self.next().await? {
                return Ok(vectors);
            }
        }
    }

    /// The next event; the last one is [`Event::Done`].
    ///
    /// # Errors
    /// The engine's, and that it has stopped.
    pub async fn next(&mut self) -> Result<Event, ApiError> {
        match self.events.recv().await {
            Some(Event::Failed(error)) => Err(error.into()),
            Some(event) => Ok(event),
            None => Err(engine::Error::Stopped.into()),
        }
    }
}

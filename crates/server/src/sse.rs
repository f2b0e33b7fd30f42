//! Answers in pieces: server-sent events, and lines of JSON.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use serde_json::Value;
use tokio::sync::mpsc;

/// How long a connection may be silent: proxies close it later.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Pieces that wait for a slow client; the task that makes them waits then.
const BUFFER: usize = 64;

/// Where a task sends pieces.
#[derive(Clone)]
pub struct Pieces(mpsc::Sender<Piece>);

/// A piece of an answer.
struct Piece {
    /// The name of a server-sent event.
    event: Option<&'static str>,
    data: String,
}

/// The client has gone.
pub struct Gone;

impl Pieces {
    /// Sends JSON.
    ///
    /// # Errors
    /// [`Gone`] where nobody listens any more.
    pub async fn send(&self, data: &Value) -> Result<(), Gone> {
        self.send_piece(Piece { event: None, data: data.to_string() }).await
    }

    /// Sends JSON as an event of this name.
    ///
    /// # Errors
    /// [`Gone`] where nobody listens any more.
    pub async fn send_event(&self, event: &'static str, data: &Value) -> Result<(), Gone> {
        self.send_piece(Piece { event: Some(event), data: data.to_string() }).await
    }

    /// Says that there is no more, as OpenAI does.
    ///
    /// # Errors
    /// [`Gone`] where nobody listens any more.
    pub async fn end(&self) -> Result<(), Gone> {
        self.send_piece(Piece { event: None, data: "[DONE]".into() }).await
    }

    /// Sends a piece.
    ///
    /// # Errors
    /// [`Gone`] where nobody listens any more.
    async fn send_piece(&self, piece: Piece) -> Result<(), Gone> {
        self.0.send(piece).await.map_err(|_| Gone)
    }
}

/// Answers with server-sent events, which `task` makes. When the client goes away, the task is
/// dropped.
pub fn events<T>(task: impl FnOnce(Pieces) -> T) -> Response
where
    T: Future<Output = Result<(), Gone>> + Send + 'static,
{
    let events = pieces(task).map(|piece| {
        let event = Event::default().data(piece.data);
        let event = match piece.event {
            Some(name) => event.event(name),
            None => event,
        };
        Ok::<_, Infallible>(event)
    });
    let mut response =
        Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    // For nginx, which otherwise collects them.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Answers with lines of JSON, which `task` makes.
pub fn lines<T>(task: impl FnOnce(Pieces) -> T) -> Response
where
    T: Future<Output = Result<(), Gone>> + Send + 'static,
{
    let lines = pieces(task).map(|piece| Ok::<_, Infallible>(piece.data + "\n"));
    let mut response = Body::from_stream(lines).into_response();
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What a task makes, for as long as somebody takes it.
fn pieces<T>(task: impl FnOnce(Pieces) -> T) -> impl Stream<Item = Piece> + Send + 'static
where
    T: Future<Output = Result<(), Gone>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(BUFFER);
    let task = Box::pin(task(Pieces(sender)));
    futures_util::stream::unfold((receiver, Some(task)), async |(mut receiver, mut task)| {
        loop {
            let Some(running) = &mut task else {
                return receiver.recv().await.map(|piece| (piece, (receiver, None)));
            };
            tokio::select! {
                biased;
                piece = receiver.recv() => return piece.map(|piece| (piece, (receiver, task))),
                _ = running => task = None,
            }
        }
    })
}

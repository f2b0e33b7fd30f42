//! Answers, whole or as lines of JSON.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::Json;
use axum::response::{IntoResponse, Response};
use chat::Delta;
use engine::{Finish, Outcome};
use serde_json::{Value, json};

use super::time::{nanos, rfc3339};
use crate::error::ApiError;
use crate::models::Loaded;
use crate::sse::{self, Gone, Pieces};
use crate::turn::{Call, Step, Turn};

/// An answer on its way.
pub struct Reply {
    pub model: Arc<Loaded>,
    pub turn: Turn,
    pub shape: Shape,
    /// When the request came.
    pub start: Instant,
    /// Calls that earlier pieces had.
    pub n_calls: usize,
}

/// Where an answer's text goes.
pub enum Shape {
    /// `message`.
    Chat,
    /// `response`, and at the end `context`: the tokens of prompt and answer.
    Generate(Vec<u32>),
}

/// Parts of an answer.
#[derive(Default)]
struct Part {
    content: String,
    thinking: String,
    calls: Vec<Call>,
}

impl Reply {
    /// Answers in pieces, or as a whole.
    ///
    /// # Errors
    /// The engine's.
    pub async fn respond(self, stream: bool) -> Result<Response, ApiError> {
        if stream {
            return Ok(sse::lines(|pieces| self.stream(pieces)));
        }
        Ok(Json(self.whole().await?).into_response())
    }

    async fn whole(mut self) -> Result<Value, ApiError> {
        let mut part = Part::default();
        loop {
            if let Some(outcome) = self.next(&mut part).await? {
                return Ok(self.last(part, &outcome));
            }
        }
    }

    async fn stream(mut self, pieces: Pieces) -> Result<(), Gone> {
        let mut part = Part::default();
        // A call is sent once it is whole.
        let mut open: Option<Call> = None;
        loop {
            part.calls.extend(open.take());
            let end = match self.next(&mut part).await {
                Ok(end) => end,
                Err(error) => return pieces.send(&error.ollama()).await,
            };
            if let Some(outcome) = end {
                if !part.is_empty() {
                    pieces.send(&self.piece(std::mem::take(&mut part))).await?;
                }
                return pieces.send(&self.last(part, &outcome)).await;
            }
            open = part.calls.pop();
            if !part.is_empty() {
                pieces.send(&self.piece(std::mem::take(&mut part))).await?;
            }
        }
    }

    /// Adds what comes next; returns how the answer has ended, if it has.
    async fn next(&mut self, part: &mut Part) -> Result<Option<Outcome>, ApiError> {
        match self.turn.next().await? {
            Step::Prompt(_) => Ok(None),
            Step::Answer { deltas, tokens, .. } => {
                if let Shape::Generate(context) = &mut self.shape {
                    context.extend(tokens.iter().map(|token| token.id));
                }
                part.add(deltas);
                Ok(None)
            }
            Step::Done { deltas, outcome, .. } => {
                part.add(deltas);
                Ok(Some(outcome))
            }
        }
    }

    fn piece(&mut self, part: Part) -> Value {
        let mut piece = header(&self.model);
        match &self.shape {
            Shape::Chat => {
                let mut message = json!({ "role": "assistant", "content": part.content });
                if !part.thinking.is_empty() {
                    message["thinking"] = part.thinking.into();
                }
                if !part.calls.is_empty() {
                    let calls = (self.n_calls..).zip(&part.calls);
                    message["tool_calls"] = calls.map(|(index, one)| call(index, one)).collect();
                    self.n_calls += part.calls.len();
                }
                piece["message"] = message;
            }
            Shape::Generate(_) => {
                piece["response"] = part.content.into();
                if !part.thinking.is_empty() {
                    piece["thinking"] = part.thinking.into();
                }
            }
        }
        piece
    }

    fn last(&mut self, part: Part, outcome: &Outcome) -> Value {
        let mut piece = self.piece(part);
        let stats = &outcome.stats;
        let reason = match outcome.finish {
            Finish::Limit | Finish::ContextFull | Finish::Cancelled => "length",
            Finish::EndOfGeneration | Finish::StopText => "stop",
        };
        piece["done"] = true.into();
        piece["done_reason"] = reason.into();
        piece["total_duration"] = nanos(self.start.elapsed()).into();
        piece["load_duration"] = 0.into();
        piece["prompt_eval_count"] = (stats.prompt_tokens + stats.cached_tokens).into();
        piece["prompt_eval_duration"] = nanos(stats.prompt_time).into();
        piece["eval_count"] = stats.generated_tokens.into();
        piece["eval_duration"] = nanos(stats.generation_time).into();
        if let Shape::Generate(context) = &self.shape {
            piece["context"] = context.clone().into();
        }
        piece
    }
}

impl Part {
    fn add(&mut self, deltas: Vec<Delta>) {
        for delta in deltas {
            match delta {
                Delta::Content(text) => self.content += &text,
                Delta::Reasoning(text) => self.thinking += &text,
                Delta::ToolCall { id, name, .. } => {
                    let id = id.unwrap_or_default();
                    self.calls.push(Call { id, name, arguments: String::new() });
                }
                Delta::Arguments { fragment, .. } => {
                    if let Some(call) = self.calls.last_mut() {
                        call.arguments += &fragment;
                    }
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.content.is_empty() && self.thinking.is_empty() && self.calls.is_empty()
    }
}

/// The answer to a request for nothing, which asks to load the model.
pub fn loaded(model: &Loaded, field: &str, nothing: Value) -> Response {
    let mut answer = header(model);
    answer[field] = nothing;
    answer["done"] = true.into();
    answer["done_reason"] = "load".into();
    Json(answer).into_response()
}

/// What all pieces say.
fn header(model: &Loaded) -> Value {
    json!({ "model": model.name(), "created_at": rfc3339(SystemTime::now()), "done": false })
}

fn call(index: usize, call: &Call) -> Value {
    // An answer that was cut off may end within the arguments.
    let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
    let function = json!({ "index": index, "name": call.name, "arguments": arguments });
    json!({ "id": call.id, "function": function })
}

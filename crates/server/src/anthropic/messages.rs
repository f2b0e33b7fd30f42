//! `/v1/messages` and `/v1/messages/count_tokens`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use engine::{Finish, Outcome, Stats};
use serde_json::{Value, json};

use super::request::Fields;
use super::stream::stream;
use crate::body::Body;
use crate::client::ClientId;
use crate::error::ApiError;
use crate::form::Form;
use crate::models::Loaded;
use crate::turn::{Answer, Call, Turn, prepare};
use crate::{App, ids, sse};

/// How ids of uses of tools begin.
const TOOL_USE: &str = "toolu_";

/// Answers a conversation.
pub async fn create(
    State(app): State<App>,
    client: ClientId,
    body: Body,
) -> Result<Response, ApiError> {
    let fields: Fields = body.parse()?;
    let (conversation, generate) = (fields.conversation()?, fields.generate()?);
    let form = fields.form()?;
    let model = app.models().get(fields.model.as_deref()).await?;
    let sampling = fields.sampling().params(model.sampling(), model.engine().tokenizer())?;
    let ready = prepare(&model, conversation, form).await?;
    let tokens = ready.tokens.clone();
    let request = generate.request(&model, tokens, sampling, client, None)?;
    let turn = Turn::start(&model, &ready, request)?.with_ids(TOOL_USE);
    let header = Header { id: ids::fresh("msg_"), model, fields };
    if header.fields.stream == Some(true) {
        return Ok(sse::events(|pieces| stream(pieces, header, turn)));
    }
    let (answer, outcome) = turn.whole().await?;
    let mut message = header.message(content(&answer), &outcome.stats);
    let (reason, stop) = header.stop(&outcome, !answer.calls.is_empty());
    message["stop_reason"] = reason.into();
    message["stop_sequence"] = stop.into();
    Ok(Json(message).into_response())
}

/// Counts the tokens of a conversation.
pub async fn count(State(app): State<App>, body: Body) -> Result<Json<Value>, ApiError> {
    let fields: Fields = body.parse()?;
    let conversation = fields.conversation()?;
    let model = app.models().get(fields.model.as_deref()).await?;
    let ready = prepare(&model, conversation, Form::Free).await?;
    Ok(Json(json!({ "input_tokens": ready.tokens.len() })))
}

/// What an answer says of itself.
pub struct Header {
    id: String,
    model: Arc<Loaded>,
    fields: Fields,
}

impl Header {
    /// A message that has not ended.
    pub fn message(&self, content: Vec<Value>, stats: &Stats) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model.name(),
            "content": content,
            "stop_reason": null,
            "stop_sequence": null,
            "usage": usage(stats),
        })
    }

    /// `stop_reason` and `stop_sequence`.
    pub fn stop(&self, outcome: &Outcome, calls: bool) -> (&'static str, Option<String>) {
        match (outcome.finish, &outcome.stop) {
            (Finish::Limit | Finish::ContextFull | Finish::Cancelled, _) => ("max_tokens", None),
            _ if calls => ("tool_use", None),
            // The format of the model's answers has stop texts of its own.
            (Finish::StopText, Some(stop)) if self.fields.is_stop(stop) => {
                ("stop_sequence", Some(stop.clone()))
            }
            _ => ("end_turn", None),
        }
    }
}

/// `usage`: tokens read from memory are not part of the input, as in the API.
pub fn usage(stats: &Stats) -> Value {
    json!({
        "input_tokens": stats.prompt_tokens,
        "cache_read_input_tokens": stats.cached_tokens,
        "cache_creation_input_tokens": 0,
        "output_tokens": stats.generated_tokens,
    })
}

/// The blocks of a whole answer.
fn content(answer: &Answer) -> Vec<Value> {
    let mut blocks = Vec::new();
    if !answer.reasoning.is_empty() {
        let thinking = &answer.reasoning;
        blocks.push(json!({ "type": "thinking", "thinking": thinking, "signature": "" }));
    }
    if !answer.content.is_empty() {
        blocks.push(json!({ "type": "text", "text": answer.content }));
    }
    let call = |call: &Call| {
        // An answer that was cut off may end within the arguments.
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input })
    };
    blocks.extend(answer.calls.iter().map(call));
    blocks
}

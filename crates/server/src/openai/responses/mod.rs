//! `/v1/responses`: <https://platform.openai.com/docs/api-reference/responses>. Nothing is stored.

mod input;
mod output;
mod request;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use engine::{Finish, Outcome};
use serde_json::{Value, json};

use self::output::{Event, Output};
use self::request::Fields;
use super::now;
use crate::body::Body;
use crate::client::ClientId;
use crate::error::ApiError;
use crate::models::Loaded;
use crate::sse::{Gone, Pieces};
use crate::turn::{Step, Turn, prepare};
use crate::{App, ids, sse};

/// Answers a conversation.
pub async fn respond(
    State(app): State<App>,
    client: ClientId,
    body: Body,
) -> Result<Response, ApiError> {
    let fields: Fields = body.parse()?;
    let conversation = fields.conversation()?;
    let form = fields.form()?;
    let model = app.models().get(fields.model.as_deref()).await?;
    let params = fields.sampling().params(model.sampling(), model.engine().tokenizer())?;
    let ready = prepare(&model, conversation, form).await?;
    let tokens = ready.tokens.clone();
    let limit = app.config().limit;
    let request = fields.generate()?.request(&model, tokens, params, client, limit)?;
    let turn = Turn::start(&model, &ready, request)?;
    let header = Header { id: ids::fresh("resp_"), created: now(), model, fields };
    if header.fields.stream == Some(true) {
        return Ok(sse::events(|pieces| stream(pieces, header, turn)));
    }
    Ok(Json(whole(&header, turn).await?).into_response())
}

async fn whole(header: &Header, mut turn: Turn) -> Result<Value, ApiError> {
    let mut output = Output::default();
    loop {
        match turn.next().await? {
            Step::Prompt(_) => {}
            Step::Answer { deltas, .. } => _ = output.add(deltas),
            Step::Done { deltas, outcome, .. } => {
                output.add(deltas);
                output.finish();
                return Ok(header.ended(output.items(), &outcome));
            }
        }
    }
}

async fn stream(pieces: Pieces, header: Header, mut turn: Turn) -> Result<(), Gone> {
    let mut numbered = Numbered { pieces, count: 0 };
    let mut output = Output::default();
    for name in ["response.created", "response.in_progress"] {
        let response = header.object("in_progress", Vec::new());
        numbered.send((name, json!({ "response": response }))).await?;
    }
    loop {
        let (events, outcome) = match turn.next().await {
            Ok(Step::Prompt(_)) => continue,
            Ok(Step::Answer { deltas, .. }) => (output.add(deltas), None),
            Ok(Step::Done { deltas, outcome, .. }) => {
                let mut events = output.add(deltas);
                events.extend(output.finish());
                (events, Some(outcome))
            }
            Err(error) => {
                let mut response = header.object("failed", output.items());
                response["error"] = json!({ "code": "server_error", "message": error.message() });
                return numbered.send(("response.failed", json!({ "response": response }))).await;
            }
        };
        for event in events {
            numbered.send(event).await?;
        }
        if let Some(outcome) = outcome {
            let response = header.ended(output.items(), &outcome);
            let name = match is_cut_off(&outcome) {
                false => "response.completed",
                true => "response.incomplete",
            };
            return numbered.send((name, json!({ "response": response }))).await;
        }
    }
}

/// Sends events with their numbers.
struct Numbered {
    pieces: Pieces,
    count: usize,
}

impl Numbered {
    async fn send(&mut self, (name, mut event): Event) -> Result<(), Gone> {
        event["type"] = name.into();
        event["sequence_number"] = self.count.into();
        self.count += 1;
        self.pieces.send_event(name, &event).await
    }
}

fn is_cut_off(outcome: &Outcome) -> bool {
    matches!(outcome.finish, Finish::Limit | Finish::ContextFull | Finish::Cancelled)
}

/// What a response says of itself.
struct Header {
    id: String,
    created: u64,
    model: Arc<Loaded>,
    fields: Fields,
}

impl Header {
    fn object(&self, status: &str, output: Vec<Value>) -> Value {
        let mut object = json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": false,
            "error": null,
            "incomplete_details": null,
            "model": self.model.name(),
            "output": output,
            "previous_response_id": null,
            "store": false,
            "truncation": "disabled",
            "usage": null,
        });
        if let (Value::Object(object), Value::Object(fields)) = (&mut object, self.fields.echo()) {
            object.extend(fields);
        }
        object
    }

    /// A response that has come to its end.
    fn ended(&self, output: Vec<Value>, outcome: &Outcome) -> Value {
        let is_cut_off = is_cut_off(outcome);
        let mut response = self.object(if is_cut_off { "incomplete" } else { "completed" }, output);
        if is_cut_off {
            response["incomplete_details"] = json!({ "reason": "max_output_tokens" });
        }
        let stats = &outcome.stats;
        let input = stats.prompt_tokens + stats.cached_tokens;
        response["usage"] = json!({
            "input_tokens": input,
            "input_tokens_details": { "cached_tokens": stats.cached_tokens },
            "output_tokens": stats.generated_tokens,
            "output_tokens_details": { "reasoning_tokens": 0 },
            "total_tokens": input + stats.generated_tokens,
        });
        response
    }
}

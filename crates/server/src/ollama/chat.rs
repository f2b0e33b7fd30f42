//! `/api/chat`.

use std::time::Instant;

use axum::extract::State;
use axum::response::Response;
use chat::{FunctionCall, Message, Tool, ToolCall};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Reply, Shape, loaded};
use super::options::Common;
use crate::App;
use crate::body::Body;
use crate::client::ClientId;
use crate::error::ApiError;
use crate::turn::{Turn, prepare, unreadable};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fields {
    messages: Vec<Spoken>,
    tools: Option<Vec<Tool>>,
}

#[derive(Debug, Deserialize)]
struct Spoken {
    role: String,
    #[serde(default)]
    content: String,
    thinking: Option<String>,
    images: Option<Vec<Value>>,
    tool_calls: Option<Vec<Called>>,
    tool_name: Option<String>,
    tool_call_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Called {
    id: Option<String>,
    function: FunctionCall,
}

/// Answers a conversation.
pub async fn chat(
    State(app): State<App>,
    client: ClientId,
    body: Body,
) -> Result<Response, ApiError> {
    let start = Instant::now();
    let (common, fields): (Common, Fields) = (body.parse()?, body.parse()?);
    let model = app.models().get(common.model.as_deref()).await?;
    let settings = common.settings(&model, &body)?;
    if fields.messages.is_empty() {
        let nothing = json!({ "role": "assistant", "content": "" });
        return Ok(loaded(&model, "message", nothing));
    }
    let messages = fields.messages.into_iter().map(Spoken::message).collect::<Result<_, _>>()?;
    let tools = fields.tools.unwrap_or_default();
    let mut request = chat::Request { tools, ..chat::Request::new(messages) };
    settings.thinking.apply(&mut request);
    let ready = prepare(&model, request, settings.form).await?;
    let tokens = ready.tokens.clone();
    let limit = app.config().limit;
    let request = settings.generate.request(&model, tokens, settings.params, client, limit)?;
    let turn = Turn::start(&model, &ready, request)?;
    let reply = Reply { model, turn, shape: Shape::Chat, start, n_calls: 0 };
    reply.respond(common.stream.unwrap_or(true)).await
}

impl Spoken {
    fn message(self) -> Result<Message, ApiError> {
        if self.images.is_some_and(|images| !images.is_empty()) {
            return Err(unreadable("image"));
        }
        let calls = self.tool_calls.map(|calls| calls.into_iter().map(Called::call).collect());
        Ok(Message {
            reasoning_content: self.thinking.filter(|text| !text.is_empty()),
            tool_calls: calls,
            tool_call_id: self.tool_call_id,
            name: self.tool_name,
            ..Message::new(self.role, self.content)
        })
    }
}

impl Called {
    fn call(self) -> ToolCall {
        let kind = "function".into();
        ToolCall { id: self.id, kind, function: self.function, ..ToolCall::default() }
    }
}

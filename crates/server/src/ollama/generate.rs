//! `/api/generate`.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chat::{Message, Parser, Prompt, Request};
use serde::Deserialize;
use serde_json::Value;

use super::answer::{Reply, Shape, header};
use super::options::{Common, Thinking};
use super::template;
use crate::App;
use crate::body::Body;
use crate::client::ClientId;
use crate::error::ApiError;
use crate::infill::Gap;
use crate::models::Loaded;
use crate::turn::{Turn, prepare, unreadable};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fields {
    prompt: String,
    /// What comes after the answer.
    suffix: String,
    images: Option<Vec<Value>>,
    system: String,
    template: String,
    /// Whether the prompt is all that the model is given.
    raw: bool,
    /// Tokens of an earlier answer and its prompt.
    context: Option<Vec<u32>>,
}

/// Answers a prompt.
pub async fn generate(
    State(app): State<App>,
    client: ClientId,
    body: Body,
) -> Result<Response, ApiError> {
    let start = Instant::now();
    let (common, fields): (Common, Fields) = (body.parse()?, body.parse()?);
    let model = app.models().get(common.model.as_deref()).await?;
    let settings = common.settings(&app, &model, &body)?;
    if fields.images.as_ref().is_some_and(|images| !images.is_empty()) {
        return Err(unreadable("image"));
    }
    if fields.prompt.is_empty() {
        // Asks to load the model.
        let mut answer = header(&model);
        answer["response"] = "".into();
        answer["done"] = true.into();
        answer["done_reason"] = "load".into();
        return Ok(Json(answer).into_response());
    }
    let (prompt, tokens) = fields.prompt(&model, settings.thinking).await?;
    let (limit, shape) = (app.config().limit, Shape::Generate(tokens.clone()));
    let request = settings.generate.request(&model, tokens, settings.params, client, limit)?;
    let turn = Turn::start(&model, &prompt, request)?;
    let reply = Reply { model, turn, shape, start, n_calls: 0 };
    reply.respond(common.stream.unwrap_or(true)).await
}

impl Fields {
    /// What the model is given.
    async fn prompt(
        self,
        model: &Arc<Loaded>,
        thinking: Thinking,
    ) -> Result<(Prompt, Vec<u32>), ApiError> {
        let tokenizer = model.engine().tokenizer();
        if self.raw {
            return Ok((plain(), tokenizer.encode(&self.prompt, true, true)));
        }
        if !self.suffix.is_empty() {
            let (input_prefix, input_suffix) = (self.prompt, self.suffix);
            let gap = Gap { input_prefix, input_suffix, ..Gap::default() };
            return Ok((plain(), gap.tokens(model)?));
        }
        let mut context = self.context.unwrap_or_default();
        if !self.template.is_empty() {
            let text = template::fill(&self.template, &self.system, &self.prompt)?;
            context.extend(tokenizer.encode(&text, context.is_empty(), true));
            return Ok((plain(), context));
        }
        let system = (!self.system.is_empty()).then(|| Message::new("system", self.system));
        let messages = system.into_iter().chain([Message::new("user", self.prompt)]).collect();
        let mut request = Request::new(messages);
        thinking.apply(&mut request);
        let (prompt, mut tokens) = prepare(model, request).await?;
        if !context.is_empty() {
            context.extend(tokenizer.encode(&prompt.text, false, true));
            tokens = context;
        }
        Ok((prompt, tokens))
    }
}

/// Of an answer that is nothing but text.
fn plain() -> Prompt {
    Prompt {
        text: String::new(),
        parser: Parser::plain(),
        constraint: None,
        stops: Vec::new(),
        special: Vec::new(),
    }
}

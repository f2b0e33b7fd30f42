//! `/api/generate`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::response::Response;
use chat::{Message, Parser, Prompt, Request};
use serde::Deserialize;
use serde_json::Value;

use super::answer::{Reply, Shape, loaded};
use super::options::{Common, Thinking};
use super::template;
use crate::App;
use crate::body::Body;
use crate::client::ClientId;
use crate::error::ApiError;
use crate::form::Form;
use crate::infill::Gap;
use crate::models::Loaded;
use crate::turn::{Ready, Turn, prepare, unreadable};

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
    let settings = common.settings(&model, &body)?;
    if fields.images.as_ref().is_some_and(|images| !images.is_empty()) {
        return Err(unreadable("image"));
    }
    if fields.prompt.is_empty() {
        return Ok(loaded(&model, "response", "".into()));
    }
    let ready = fields.prompt(&model, settings.thinking, settings.form).await?;
    let (tokens, limit) = (ready.tokens.clone(), app.config().limit);
    let shape = Shape::Generate(tokens.clone());
    let request = settings.generate.request(&model, tokens, settings.params, client, limit)?;
    let turn = Turn::start(&model, &ready, request)?;
    let reply = Reply { model, turn, shape, start, n_calls: 0 };
    reply.respond(common.stream.unwrap_or(true)).await
}

impl Fields {
    /// What the model is given.
    async fn prompt(
        self,
        model: &Arc<Loaded>,
        thinking: Thinking,
        form: Form,
    ) -> Result<Ready, ApiError> {
        let tokenizer = model.engine().tokenizer();
        if self.raw {
            let tokens = tokenizer.encode(&self.prompt, true, true);
            return plain(model, tokens, form).await;
        }
        if !self.suffix.is_empty() {
            let (input_prefix, input_suffix) = (self.prompt, self.suffix);
            let gap = Gap { input_prefix, input_suffix, ..Gap::default() };
            return plain(model, gap.tokens(model)?, form).await;
        }
        let mut context = self.context.unwrap_or_default();
        if !self.template.is_empty() {
            let text = template::fill(&self.template, &self.system, &self.prompt)?;
            context.extend(tokenizer.encode(&text, context.is_empty(), true));
            return plain(model, context, form).await;
        }
        let system = (!self.system.is_empty()).then(|| Message::new("system", self.system));
        let messages = system.into_iter().chain([Message::new("user", self.prompt)]).collect();
        let mut request = Request::new(messages);
        thinking.apply(&mut request);
        let mut ready = prepare(model, request, form).await?;
        if !context.is_empty() {
            context.extend(tokenizer.encode(&ready.prompt.text, false, true));
            ready.tokens = context;
        }
        Ok(ready)
    }
}

/// For an answer that is nothing but text.
async fn plain(model: &Arc<Loaded>, tokens: Vec<u32>, form: Form) -> Result<Ready, ApiError> {
    let prompt = Prompt {
        text: String::new(),
        parser: Parser::plain(),
        constraint: None,
        stops: Vec::new(),
        special: Vec::new(),
    };
    Ok(Ready { prompt, tokens, grammar: form.of_text(model).await? })
}

//! `/v1/completions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use engine::{Choice, Event, Outcome};
use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use super::chat::StreamOptions;
use super::{logprobs, now};
use crate::body::Body;
use crate::client::ClientId;
use crate::error::ApiError;
use crate::form::FormFields;
use crate::generate::{Generate, MOST_ANSWERS, apart, finish_reason, timings, usage};
use crate::generation::Generation;
use crate::models::Loaded;
use crate::sampling::Sampling;
use crate::sse::{self, Gone, Pieces};
use crate::{App, ids, prompt};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fields {
    model: Option<String>,
    prompt: Value,
    n: Option<usize>,
    echo: Option<bool>,
    suffix: Option<String>,
    logprobs: Option<usize>,
    stream_options: Option<StreamOptions>,
}

/// Continues texts.
pub async fn complete(
    State(app): State<App>,
    client: ClientId,
    body: Body,
) -> Result<Response, ApiError> {
    let fields: Fields = body.parse()?;
    let (generate, sampling): (Generate, Sampling) = (body.parse()?, body.parse()?);
    let form = body.parse::<FormFields>()?.form()?;
    let model = app.models().get(fields.model.as_deref()).await?;
    let tokenizer = model.engine().tokenizer();
    if fields.suffix.as_deref().is_some_and(|suffix| !suffix.is_empty()) {
        let message = "'suffix' is not taken here; use /infill";
        return Err(ApiError::invalid(message).with("param", "suffix"));
    }
    let mut params = sampling.params(model.sampling(), tokenizer)?;
    if let Some(n) = fields.logprobs {
        params.n_probs = n.clamp(1, 20);
    }
    let n = fields.n.unwrap_or(1);
    let prompts = prompt::several(&fields.prompt, tokenizer)?;
    if n == 0 || n.saturating_mul(prompts.len()) > MOST_ANSWERS {
        let message = format!("'n' and 'prompt' may ask for up to {MOST_ANSWERS} answers");
        return Err(ApiError::invalid(message).with("param", "n"));
    }
    let grammar = form.of_text(&model).await?;
    let mut texts = Vec::with_capacity(n * prompts.len());
    for tokens in &prompts {
        for params in apart(&params, n) {
            let limit = app.config().limit;
            let mut request = generate.request(&model, tokens.clone(), params, client, limit)?;
            request.grammar.clone_from(&grammar);
            let echo = (fields.echo == Some(true)).then(|| tokenizer.decode(tokens, false));
            texts.push(Text { generation: Generation::start(&model, request)?, echo });
        }
    }
    let header = Header { id: ids::fresh("cmpl-"), created: now(), model: model.clone() };
    if generate.stream == Some(true) {
        let with_usage = fields.stream_options.unwrap_or_default().include_usage;
        return Ok(sse::events(|pieces| stream(pieces, header, texts, with_usage)));
    }
    let answers = try_join_all(texts.into_iter().map(Text::whole)).await?;
    let choices = answers.iter().enumerate().map(|(index, (text, tokens, outcome))| {
        header.choice(index, text, tokens, 0, Some(outcome))
    });
    let mut value = header.object(choices.collect());
    let outcomes: Vec<Outcome> = answers.into_iter().map(|(_, _, outcome)| outcome).collect();
    value["usage"] = usage(&outcomes);
    if let [outcome] = outcomes.as_slice() {
        value["timings"] = timings(&outcome.stats);
    }
    Ok(Json(value).into_response())
}

/// A text that is continued.
struct Text {
    generation: Generation,
    /// The prompt, where it is part of the answer.
    echo: Option<String>,
}

impl Text {
    async fn whole(mut self) -> Result<(String, Vec<Choice>, Outcome), ApiError> {
        let mut answer = self.echo.unwrap_or_default();
        let mut all = Vec::new();
        loop {
            match self.generation.next().await? {
                Event::Text { text, tokens, .. } => {
                    answer += &text;
                    all.extend(tokens);
                }
                Event::Done(outcome) => return Ok((answer, all, outcome)),
                Event::Prompt(_) | Event::Vectors(_) => {}
                Event::Failed(error) => return Err(error.into()),
            }
        }
    }
}

struct Header {
    id: String,
    created: u64,
    model: Arc<Loaded>,
}

impl Header {
    fn object(&self, choices: Value) -> Value {
        json!({
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model.name(),
            "system_fingerprint": concat!("llamafile-", env!("CARGO_PKG_VERSION")),
            "choices": choices,
        })
    }

    fn choice(
        &self,
        index: usize,
        text: &str,
        tokens: &[Choice],
        offset: usize,
        outcome: Option<&Outcome>,
    ) -> Value {
        let is_reported = tokens.iter().any(|choice| choice.probabilities.is_some());
        let tokenizer = self.model.engine().tokenizer();
        json!({
            "index": index,
            "text": text,
            "logprobs": is_reported.then(|| logprobs::legacy(tokenizer, tokens, offset)),
            "finish_reason": outcome.map(|outcome| finish_reason(outcome.finish)),
        })
    }
}

async fn stream(
    pieces: Pieces,
    header: Header,
    texts: Vec<Text>,
    with_usage: bool,
) -> Result<(), Gone> {
    let texts = texts.into_iter().enumerate();
    let streams = texts.map(|(index, text)| stream_one(&pieces, &header, index, text));
    let outcomes = match try_join_all(streams).await {
        Ok(outcomes) => outcomes,
        Err(None) => return Err(Gone),
        Err(Some(error)) => return pieces.send(&error.openai()).await,
    };
    if with_usage {
        let mut last = header.object(json!([]));
        last["usage"] = usage(&outcomes);
        pieces.send(&last).await?;
    }
    pieces.end().await
}

/// Streams one of the texts. Fails without an error where the client has gone.
async fn stream_one(
    pieces: &Pieces,
    header: &Header,
    index: usize,
    mut text: Text,
) -> Result<Outcome, Option<ApiError>> {
    let gone = |_: Gone| None;
    let mut offset = 0;
    if let Some(echo) = text.echo.take() {
        offset = echo.chars().count();
        let choice = header.choice(index, &echo, &[], 0, None);
        pieces.send(&header.object(json!([choice]))).await.map_err(gone)?;
    }
    loop {
        match text.generation.next().await? {
            Event::Text { text, tokens, .. } => {
                let choice = header.choice(index, &text, &tokens, offset, None);
                offset += text.chars().count();
                pieces.send(&header.object(json!([choice]))).await.map_err(gone)?;
            }
            Event::Done(outcome) => {
                let choice = header.choice(index, "", &[], offset, Some(&outcome));
                let mut last = header.object(json!([choice]));
                last["timings"] = timings(&outcome.stats);
                pieces.send(&last).await.map_err(gone)?;
                return Ok(outcome);
            }
            Event::Prompt(_) | Event::Vectors(_) => {}
            Event::Failed(error) => return Err(Some(error.into())),
        }
    }
}

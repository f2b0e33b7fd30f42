//! `/completion` and `/infill`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use engine::{Choice, Event, Finish, Outcome};
use futures_util::future::try_join_all;
use sample::Params;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Body;
use crate::client::ClientId;
use crate::error::ApiError;
use crate::form::FormFields;
use crate::generate::{Generate, prompt_progress, timings};
use crate::generation::Generation;
use crate::infill::Gap;
use crate::models::Loaded;
use crate::sampling::Sampling;
use crate::settings_json::settings;
use crate::sse::{self, Gone, Pieces};
use crate::{App, probabilities, prompt};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fields {
    model: Option<String>,
    prompt: Value,
}

/// `/completion`.
pub async fn complete(
    State(app): State<App>,
    client: ClientId,
    body: Body,
) -> Result<Response, ApiError> {
    let fields: Fields = body.parse()?;
    let model = app.models().get(fields.model.as_deref()).await?;
    let is_list = fields
        .prompt
        .as_array()
        .is_some_and(|parts| parts.first().is_some_and(|part| part.is_string() || part.is_array()));
    let prompts = prompt::several(&fields.prompt, model.engine().tokenizer())?;
    answer(&app, &model, client, &body, prompts, is_list).await
}

/// `/infill`: what belongs between two texts.
pub async fn infill(
    State(app): State<App>,
    client: ClientId,
    body: Body,
) -> Result<Response, ApiError> {
    let fields: Fields = body.parse()?;
    let gap: Gap = body.parse()?;
    let model = app.models().get(fields.model.as_deref()).await?;
    let tokens = gap.tokens(&model)?;
    answer(&app, &model, client, &body, vec![tokens], false).await
}

async fn answer(
    app: &App,
    model: &Arc<Loaded>,
    client: ClientId,
    body: &Body,
    prompts: Vec<Vec<u32>>,
    is_list: bool,
) -> Result<Response, ApiError> {
    let (generate, sampling): (Generate, Sampling) = (body.parse()?, body.parse()?);
    let grammar = body.parse::<FormFields>()?.form()?.of_text(model).await?;
    let params = sampling.params(model.sampling(), model.engine().tokenizer())?;
    let mut texts = Vec::new();
    for (index, tokens) in prompts.into_iter().enumerate() {
        let mut request =
            generate.request(model, tokens, params.clone(), client, app.config().limit)?;
        request.grammar.clone_from(&grammar);
        let generation = Generation::start(model, request)?;
        let (model, params, generate) = (model.clone(), params.clone(), generate.clone());
        texts.push(Text { index, model, params, generate, generation });
    }
    if generate.stream == Some(true) {
        return Ok(sse::events(|pieces| async move {
            let streams = texts.into_iter().map(|text| text.stream(&pieces));
            match try_join_all(streams).await {
                Ok(_) => Ok(()),
                Err(None) => Err(Gone),
                Err(Some(error)) => pieces.send(&error.openai()).await,
            }
        }));
    }
    let mut answers = try_join_all(texts.into_iter().map(Text::whole)).await?;
    Ok(match answers.len() {
        1 if !is_list => Json(answers.remove(0)).into_response(),
        _ => Json(answers).into_response(),
    })
}

/// A text that is continued.
struct Text {
    index: usize,
    model: Arc<Loaded>,
    params: Params,
    generate: Generate,
    generation: Generation,
}

impl Text {
    async fn whole(mut self) -> Result<Value, ApiError> {
        let (mut content, mut all) = (String::new(), Vec::new());
        loop {
            match self.generation.next().await? {
                Event::Text { text, tokens, .. } => {
                    content += &text;
                    all.extend(tokens);
                }
                Event::Done(outcome) => return Ok(self.last(content, &all, &outcome)),
                Event::Prompt(_) | Event::Vectors(_) => {}
                Event::Failed(error) => return Err(error.into()),
            }
        }
    }

    /// Fails without an error where the client has gone.
    async fn stream(mut self, pieces: &Pieces) -> Result<(), Option<ApiError>> {
        let gone = |_: Gone| None;
        loop {
            let piece = match self.generation.next().await? {
                Event::Text { text, tokens, stats } => {
                    let mut piece = self.piece(text, &tokens, false);
                    if self.generate.timings_per_token == Some(true) {
                        piece["timings"] = timings(&stats);
                    }
                    piece
                }
                Event::Prompt(progress) if self.generate.return_progress == Some(true) => {
                    let mut piece = self.piece(String::new(), &[], false);
                    piece["prompt_progress"] = prompt_progress(progress);
                    piece
                }
                Event::Prompt(_) | Event::Vectors(_) => continue,
                Event::Done(outcome) => {
                    let last = self.last(String::new(), &[], &outcome);
                    return pieces.send(&last).await.map_err(gone);
                }
                Event::Failed(error) => return Err(Some(error.into())),
            };
            pieces.send(&piece).await.map_err(gone)?;
        }
    }

    fn piece(&self, content: String, tokens: &[Choice], stop: bool) -> Value {
        let ids: Vec<u32> = tokens.iter().map(|choice| choice.id).collect();
        let mut piece =
            json!({ "index": self.index, "content": content, "tokens": [], "stop": stop });
        if self.generate.return_tokens == Some(true) || !stop {
            piece["tokens"] = ids.into();
        }
        if self.params.n_probs > 0 && !tokens.is_empty() {
            let (tokenizer, post) =
                (self.model.engine().tokenizer(), self.params.post_sampling_probs);
            piece["completion_probabilities"] = probabilities::of(tokenizer, tokens, post).into();
        }
        piece
    }

    fn last(&self, content: String, tokens: &[Choice], outcome: &Outcome) -> Value {
        let stats = &outcome.stats;
        let mut piece = self.piece(content, tokens, true);
        let kind = match outcome.finish {
            Finish::EndOfGeneration => "eos",
            Finish::StopText => "word",
            Finish::Limit | Finish::ContextFull | Finish::Cancelled => "limit",
        };
        let mut generation_settings = settings(&self.params);
        generation_settings["seed"] = outcome.seed.into();
        let prompt = stats.prompt_tokens + stats.cached_tokens;
        let facts = json!({
            "id_slot": 0,
            "model": self.model.name(),
            "tokens_predicted": stats.generated_tokens,
            "tokens_evaluated": prompt,
            "generation_settings": generation_settings,
            "has_new_line": piece["content"].as_str().is_some_and(|text| text.contains('\n')),
            "truncated": outcome.shifted,
            "stop_type": kind,
            "stopping_word": outcome.stop.as_deref().unwrap_or_default(),
            "tokens_cached": prompt + stats.generated_tokens,
            "timings": timings(stats),
        });
        if let (Value::Object(piece), Value::Object(facts)) = (&mut piece, facts) {
            piece.extend(facts);
        }
        piece
    }
}

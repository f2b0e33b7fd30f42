//! Vectors of texts.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::time::nanos;
use crate::App;
use crate::body::Body;
use crate::error::ApiError;
use crate::vectors::{embed_each, inputs};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fields {
    model: Option<String>,
    input: Value,
    prompt: Option<String>,
    /// Whether texts that are too long are cut; they are unless this is false.
    truncate: Option<bool>,
    dimensions: Option<usize>,
}

/// `/api/embed`.
pub async fn embed(State(app): State<App>, body: Body) -> Result<Json<Value>, ApiError> {
    let start = Instant::now();
    let fields: Fields = body.parse()?;
    let model = app.models().get(fields.model.as_deref()).await?;
    let loaded = start.elapsed();
    let is_empty = matches!(&fields.input, Value::Array(texts) if texts.is_empty());
    let mut texts = match is_empty {
        true => Vec::new(),
        false => inputs("input", &fields.input, model.engine())?,
    };
    if fields.truncate != Some(false) {
        texts.iter_mut().for_each(|text| text.truncate(model.n_ctx()));
    }
    let (vectors, n_tokens) = embed_each(&model, texts, fields.dimensions).await?;
    Ok(Json(json!({
        "model": model.name(),
        "embeddings": vectors,
        "total_duration": nanos(start.elapsed()),
        "load_duration": nanos(loaded),
        "prompt_eval_count": n_tokens,
    })))
}

/// `/api/embeddings`, of one text, which came before.
pub async fn embed_one(State(app): State<App>, body: Body) -> Result<Json<Value>, ApiError> {
    let fields: Fields = body.parse()?;
    let model = app.models().get(fields.model.as_deref()).await?;
    let Some(prompt) = fields.prompt.filter(|prompt| !prompt.is_empty()) else {
        return Ok(Json(json!({ "embedding": [] })));
    };
    let mut tokens = model.engine().text_tokens(&prompt);
    tokens.truncate(model.n_ctx());
    let (mut vectors, _) = embed_each(&model, vec![tokens], None).await?;
    Ok(Json(json!({ "embedding": vectors.pop().unwrap_or_default() })))
}

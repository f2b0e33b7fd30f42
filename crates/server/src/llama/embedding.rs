//! `/embedding` and `/embeddings`, which OpenAI doesn't have so: of texts without pooling all tokens'
//! vectors.

use axum::Json;
use axum::extract::State;
use engine::Normalization;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::App;
use crate::body::Body;
use crate::error::ApiError;
use crate::vectors::{Vectors, embed, inputs};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fields {
    model: Option<String>,
    content: Value,
    input: Value,
    embd_normalize: Option<i32>,
}

/// Vectors of texts.
pub async fn vectors(State(app): State<App>, body: Body) -> Result<Json<Value>, ApiError> {
    let fields: Fields = body.parse()?;
    let normalization = match fields.embd_normalize {
        None => Normalization::default(),
        Some(number) => Normalization::from_number(number).ok_or_else(|| {
            ApiError::invalid("'embd_normalize' must be at least -1")
                .with("param", "embd_normalize")
        })?,
    };
    let model = app.models().get(fields.model.as_deref()).await?;
    let (name, texts) = match fields.content {
        Value::Null => ("input", fields.input),
        content => ("content", content),
    };
    let texts = inputs(name, &texts, model.engine())?;
    let Vectors { of_texts, .. } = embed(&model, texts, normalization).await?;
    let object = |(index, embedding)| json!({ "index": index, "embedding": embedding });
    Ok(Json(of_texts.into_iter().enumerate().map(object).collect()))
}

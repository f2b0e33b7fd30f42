//! `/v1/models`, and which of them are in memory.

use std::time::UNIX_EPOCH;

use axum::Json;
use axum::extract::{Path, State};
use engine::fleet::{ModelState, ModelStatus};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::App;
use crate::body::Body;
use crate::error::{ApiError, Kind};

/// All models.
pub async fn list(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let models: Vec<Value> = app.models().list().await?.iter().map(describe).collect();
    Ok(Json(json!({ "object": "list", "data": models })))
}

/// One model.
pub async fn one(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let models = app.models().list().await?;
    let model = models.iter().find(|model| model.name == name);
    let unknown = || ApiError::new(Kind::NotFound, format!("there is no model '{name}'"));
    model.map(|model| Json(describe(model))).ok_or_else(unknown)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    model: String,
}

/// Loads a model, as llama.cpp's router does.
pub async fn load(State(app): State<App>, body: Body) -> Result<Json<Value>, ApiError> {
    let Named { model } = body.parse()?;
    app.models().load(&model).await?;
    Ok(Json(json!({ "success": true })))
}

/// Unloads a model that nobody uses.
pub async fn unload(State(app): State<App>, body: Body) -> Result<Json<Value>, ApiError> {
    let Named { model } = body.parse()?;
    app.models().unload(&model).await?;
    Ok(Json(json!({ "success": true })))
}

fn describe(model: &ModelStatus) -> Value {
    let modified = model.modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let mut status = json!({ "value": model.state.name() });
    if let Some(error) = model.error.as_ref().filter(|_| model.state == ModelState::Unloaded) {
        status["failed"] = true.into();
        status["error"] = error.clone().into();
    }
    let mut value = json!({
        "id": model.name,
        "object": "model",
        "created": modified.map_or(0, |since| since.as_secs()),
        "owned_by": "llamafile",
        "status": status,
    });
    if let Some((info, n_ctx)) = &model.loaded {
        value["meta"] = json!({
            "n_vocab": info.n_vocab,
            "n_ctx": n_ctx,
            "n_ctx_train": info.n_ctx_train,
            "n_params": info.n_params,
            "size": info.bytes,
        });
    }
    value
}

//! `/v1/models`.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use crate::App;
use crate::error::{ApiError, Kind};
use crate::models::Loaded;

/// All models.
pub async fn list(State(app): State<App>) -> Json<Value> {
    let models: Vec<Value> = app.models().list().iter().map(|model| describe(model)).collect();
    Json(json!({ "object": "list", "data": models }))
}

/// One model.
pub async fn one(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let models = app.models().list();
    let model = models.iter().find(|model| model.name() == name);
    let unknown = || ApiError::new(Kind::NotFound, format!("there is no model '{name}'"));
    model.map(|model| Json(describe(model))).ok_or_else(unknown)
}

fn describe(model: &Loaded) -> Value {
    let info = model.engine().info();
    let created = model.created().duration_since(std::time::UNIX_EPOCH);
    json!({
        "id": model.name(),
        "object": "model",
        "created": created.map_or(0, |since| since.as_secs()),
        "owned_by": "llamafile",
        "meta": {
            "n_vocab": info.n_vocab,
            "n_ctx": model.n_ctx(),
            "n_ctx_train": info.n_ctx_train,
            "n_params": info.n_params,
            "size": info.bytes,
        },
    })
}

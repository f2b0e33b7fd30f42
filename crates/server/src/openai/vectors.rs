//! `/v1/embeddings` and `/v1/rerank`.

use axum::extract::State;

use crate::App;
use crate::error::{ApiError, Kind};

/// Vectors of texts. Models that generate text make none.
pub async fn embed(State(app): State<App>) -> Result<(), ApiError> {
    Err(unsupported(&app, "makes no embeddings").await)
}

/// How well texts answer a question. Models that generate text don't judge them.
pub async fn rerank(State(app): State<App>) -> Result<(), ApiError> {
    Err(unsupported(&app, "can't rank texts").await)
}

/// What to say where vectors are asked for.
async fn unsupported(app: &App, what: &str) -> ApiError {
    match app.models().get(None).await {
        Ok(model) => ApiError::new(Kind::Unsupported, format!("'{}' {what}", model.name())),
        Err(error) => error,
    }
}

//! The API of OpenAI: <https://platform.openai.com/docs/api-reference>.

pub mod chat;
mod completions;
mod logprobs;
mod models;

use axum::Router;
use axum::routing::{get, post};

use crate::App;

/// Its routes, with and without `/v1`, as llama.cpp has them.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/models", get(models::list))
        .route("/models", get(models::list))
        .route("/v1/models/{*name}", get(models::one))
        .route("/v1/chat/completions", post(chat::complete))
        .route("/chat/completions", post(chat::complete))
        .route("/v1/completions", post(completions::complete))
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

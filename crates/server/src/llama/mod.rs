//! The API of llama.cpp's server.

mod completion;
mod info;
mod metrics;
mod probabilities;
mod text;

use axum::Router;
use axum::routing::{get, post};

use crate::App;

/// Its routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/health", get(info::health))
        .route("/v1/health", get(info::health))
        .route("/props", get(info::props))
        .route("/slots", get(info::slots))
        .route("/metrics", get(metrics::metrics))
        .route("/completion", post(completion::complete))
        .route("/completions", post(completion::complete))
        .route("/infill", post(completion::infill))
        .route("/tokenize", post(text::tokenize))
        .route("/detokenize", post(text::detokenize))
        .route("/apply-template", post(text::apply_template))
}

//! The API of llama.cpp's server.

mod completion;
mod embedding;
mod info;
mod metrics;
mod slots;
mod text;

use serde::Deserialize;

use crate::routes::Routes;

/// The model that a request is about, where it has no body.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    model: Option<String>,
}

/// Its routes.
pub fn routes() -> Routes {
    Routes::default()
        .get("/health", info::health)
        .get("/v1/health", info::health)
        .get("/props", info::props)
        .get("/slots", slots::list)
        .post("/slots/{id}", slots::act)
        .get("/metrics", metrics::metrics)
        .post("/completion", completion::complete)
        .post("/completions", completion::complete)
        .post("/infill", completion::infill)
        .post("/embedding", embedding::vectors)
        .post("/embeddings", embedding::vectors)
        .post("/tokenize", text::tokenize)
        .post("/detokenize", text::detokenize)
        .post("/apply-template", text::apply_template)
}

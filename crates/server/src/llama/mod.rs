//! The API of llama.cpp's server.

mod completion;
mod info;
mod metrics;
mod text;

use crate::routes::Routes;

/// Its routes.
pub fn routes() -> Routes {
    Routes::default()
        .get("/health", info::health)
        .get("/v1/health", info::health)
        .get("/props", info::props)
        .get("/slots", info::slots)
        .get("/metrics", metrics::metrics)
        .post("/completion", completion::complete)
        .post("/completions", completion::complete)
        .post("/infill", completion::infill)
        .post("/tokenize", text::tokenize)
        .post("/detokenize", text::detokenize)
        .post("/apply-template", text::apply_template)
}

//! The API of OpenAI: <https://platform.openai.com/docs/api-reference>.

pub mod chat;
mod completions;
mod logprobs;
mod models;
mod responses;
mod vectors;

use crate::routes::Routes;

/// Its routes, with and without `/v1`, as llama.cpp has them.
pub fn routes() -> Routes {
    Routes::default()
        .get("/v1/models", models::list)
        .get("/models", models::list)
        .get("/v1/models/{*name}", models::one)
        .post("/models/load", models::load)
        .post("/models/unload", models::unload)
        .post("/v1/chat/completions", chat::complete)
        .post("/chat/completions", chat::complete)
        .post("/v1/completions", completions::complete)
        .post("/v1/responses", responses::respond)
        .post("/v1/embeddings", vectors::embed)
        .post("/v1/rerank", vectors::rerank)
        .post("/v1/reranking", vectors::rerank)
        .post("/rerank", vectors::rerank)
        .post("/reranking", vectors::rerank)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

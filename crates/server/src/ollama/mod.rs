//! The API of Ollama: <https://github.com/ollama/ollama/blob/main/docs/api.md>.

mod answer;
mod chat;
mod embed;
mod generate;
mod info;
mod options;
mod template;
mod time;

use crate::routes::Routes;

/// Its routes.
pub fn routes() -> Routes {
    Routes::default()
        .post("/api/chat", chat::chat)
        .post("/api/generate", generate::generate)
        .post("/api/embed", embed::embed)
        .post("/api/embeddings", embed::embed_one)
        .post("/api/show", info::show)
        .get("/api/tags", info::tags)
        .get("/api/ps", info::running)
        .get("/api/version", info::version)
}

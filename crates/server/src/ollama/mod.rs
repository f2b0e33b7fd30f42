//! The API of Ollama: <https://github.com/ollama/ollama/blob/main/docs/api.md>.

mod answer;
mod chat;
mod generate;
mod info;
mod options;
mod template;
mod time;

use crate::openai::vectors::embed;
use crate::routes::Routes;

/// Its routes.
pub fn routes() -> Routes {
    Routes::default()
        .post("/api/chat", chat::chat)
        .post("/api/generate", generate::generate)
        .post("/api/embed", embed)
        .post("/api/embeddings", embed)
        .post("/api/show", info::show)
        .get("/api/tags", info::tags)
        .get("/api/ps", info::running)
        .get("/api/version", info::version)
}

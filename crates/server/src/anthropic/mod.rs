//! The API of Anthropic: <https://docs.anthropic.com/en/api/messages>.

mod messages;
mod request;
mod stream;

use crate::routes::Routes;

/// Its routes.
pub fn routes() -> Routes {
    Routes::default()
        .post("/v1/messages", messages::create)
        .post("/v1/messages/count_tokens", messages::count)
}

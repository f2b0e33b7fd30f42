//! What the server is and does.

use axum::Json;
use axum::extract::{Query, State};
use chat::Capabilities;
use serde_json::{Value, json};

use super::Named;
use crate::App;
use crate::error::ApiError;
use crate::settings_json::settings;

/// `/health`.
pub async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `/props`.
pub async fn props(
    State(app): State<App>,
    Query(asked): Query<Named>,
) -> Result<Json<Value>, ApiError> {
    let model = app.models().get(asked.model.as_deref()).await?;
    let engine = model.engine();
    let tokenizer = engine.tokenizer();
    let special = |id: Option<u32>| id.and_then(|id| tokenizer.token_text(id)).unwrap_or_default();
    Ok(Json(json!({
        "default_generation_settings": {
            "id": 0,
            "n_ctx": model.n_ctx(),
            "params": settings(model.sampling()),
        },
        "total_slots": model.worker().parallel(),
        "model_alias": model.name(),
        "model_path": engine.info().path,
        "modalities": { "vision": false, "audio": false },
        "chat_template": model.chat()?.template().source(),
        "chat_template_caps": capabilities(model.chat()?.capabilities()),
        "bos_token": special(tokenizer.bos()),
        "eos_token": special(tokenizer.eos()),
        "build_info": concat!("llamafile ", env!("CARGO_PKG_VERSION")),
    })))
}

fn capabilities(found: &Capabilities) -> Value {
    json!({
        "supports_string_content": found.text_content,
        "supports_typed_content": found.typed_content,
        "supports_system_role": found.system_role,
        "supports_tools": found.tools,
        "supports_tool_calls": found.tool_calls,
        "supports_parallel_tool_calls": found.parallel_tool_calls,
        "supports_object_arguments": found.object_arguments,
        "supports_preserve_reasoning": found.preserve_reasoning,
    })
}

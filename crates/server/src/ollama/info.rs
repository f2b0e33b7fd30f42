//! What models there are.

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::time::rfc3339;
use crate::App;
use crate::body::Body;
use crate::error::ApiError;
use crate::models::Loaded;

/// The version of Ollama whose API this is: clients ask for a least one.
const VERSION: &str = "0.13.0";

/// How long a model is said to stay in memory.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// `/api/version`.
pub async fn version() -> Json<Value> {
    Json(json!({ "version": VERSION }))
}

/// `/api/tags`.
pub async fn tags(State(app): State<App>) -> Json<Value> {
    let models: Vec<Value> = app.models().list().iter().map(|model| describe(model)).collect();
    Json(json!({ "models": models }))
}

/// `/api/ps`.
pub async fn running(State(app): State<App>) -> Json<Value> {
    let describe = |model: &Loaded| {
        let mut value = describe(model);
        value["size_vram"] = 0.into();
        value["context_length"] = model.n_ctx().into();
        value["expires_at"] = rfc3339(SystemTime::now() + FOREVER).into();
        value
    };
    let models: Vec<Value> = app.models().list().iter().map(|model| describe(model)).collect();
    Json(json!({ "models": models }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Show {
    model: Option<String>,
    name: Option<String>,
}

/// `/api/show`.
pub async fn show(State(app): State<App>, body: Body) -> Result<Json<Value>, ApiError> {
    let fields: Show = body.parse()?;
    let name = fields.model.or(fields.name);
    let model = app.models().get(name.as_deref()).await?;
    let info = model.engine().info();
    let mut capabilities = vec!["completion"];
    let mut template = "";
    if let Ok(chat) = model.chat() {
        template = chat.template().source();
        capabilities.push("tools");
        if chat.has_reasoning() {
            capabilities.push("thinking");
        }
    }
    if model.engine().tokenizer().special().fim_mid.is_some() {
        capabilities.push("insert");
    }
    let architecture = &info.architecture;
    let mut facts = json!({
        "general.architecture": architecture,
        "general.basename": info.name,
        "general.parameter_count": info.n_params,
    });
    facts[format!("{architecture}.context_length")] = info.n_ctx_train.into();
    facts[format!("{architecture}.vocab_size")] = info.n_vocab.into();
    Ok(Json(json!({
        "modelfile": format!("FROM {}\n", info.path.display()),
        "parameters": format!("num_ctx {}", model.n_ctx()),
        "template": template,
        "details": details(&model),
        "model_info": facts,
        "capabilities": capabilities,
        "modified_at": rfc3339(model.created()),
    })))
}

fn describe(model: &Loaded) -> Value {
    json!({
        "name": model.name(),
        "model": model.name(),
        "modified_at": rfc3339(model.created()),
        "size": model.engine().info().bytes,
        "digest": "",
        "details": details(model),
    })
}

fn details(model: &Loaded) -> Value {
    let info = model.engine().info();
    let size = match info.n_params as f64 {
        n if n >= 1e9 => format!("{:.1}B", n / 1e9),
        n if n >= 1e6 => format!("{:.2}M", n / 1e6),
        n => format!("{:.1}K", n / 1e3),
    };
    json!({
        "parent_model": "",
        "format": "gguf",
        "family": info.architecture,
        "families": [info.architecture],
        "parameter_size": size,
        "quantization_level": "",
    })
}

//! What models there are.

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::State;
use engine::ModelInfo;
use engine::fleet::ModelStatus;
use serde::Deserialize;
use serde_json::{Value, json};

use super::time::rfc3339;
use crate::App;
use crate::body::Body;
use crate::error::ApiError;

/// The version of Ollama whose API this is: clients ask for a least one.
const VERSION: &str = "0.13.0";

/// How long a model is said to stay in memory.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// `/api/version`.
pub async fn version() -> Json<Value> {
    Json(json!({ "version": VERSION }))
}

/// `/api/tags`.
pub async fn tags(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let models: Vec<Value> = app.models().list().await?.iter().map(describe).collect();
    Ok(Json(json!({ "models": models })))
}

/// `/api/ps`.
pub async fn running(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let models = app.models().list().await?;
    let in_memory = models.iter().filter_map(|model| {
        let (_, n_ctx) = model.loaded.as_ref()?;
        let mut value = describe(model);
        value["size_vram"] = 0.into();
        value["context_length"] = (*n_ctx).into();
        value["expires_at"] = rfc3339(SystemTime::now() + FOREVER).into();
        Some(value)
    });
    Ok(Json(json!({ "models": in_memory.collect::<Vec<_>>() })))
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
    let modified = std::fs::metadata(&info.path).and_then(|file| file.modified());
    let modified = modified.unwrap_or(SystemTime::UNIX_EPOCH);
    let mut capabilities = vec!["embedding"];
    let mut template = "";
    if model.engine().is_generative() {
        capabilities.insert(0, "completion");
    }
    if let Some(chat) = model.chat().ok().filter(|_| model.engine().is_generative()) {
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
        "details": details(Some(info)),
        "model_info": facts,
        "capabilities": capabilities,
        "modified_at": rfc3339(modified),
    })))
}

fn describe(model: &ModelStatus) -> Value {
    let info = model.loaded.as_ref().map(|(info, _)| info);
    json!({
        "name": model.name,
        "model": model.name,
        "modified_at": rfc3339(model.modified.unwrap_or(SystemTime::UNIX_EPOCH)),
        "size": info.map(|info| info.bytes).or(model.bytes).unwrap_or_default(),
        "digest": "",
        "details": details(info),
    })
}

/// Of models that are not loaded only the format is known.
fn details(info: Option<&ModelInfo>) -> Value {
    let size = info.map_or(String::new(), |info| match info.n_params as f64 {
        n if n >= 1e9 => format!("{:.1}B", n / 1e9),
        n if n >= 1e6 => format!("{:.2}M", n / 1e6),
        n => format!("{:.1}K", n / 1e3),
    });
    let family = info.map_or("", |info| info.architecture.as_str());
    json!({
        "parent_model": "",
        "format": "gguf",
        "family": family,
        "families": [family],
        "parameter_size": size,
        "quantization_level": "",
    })
}

//! `/slots`: what requests are about, and slots kept in files.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use axum::Json;
use axum::extract::{Path as Parameter, Query, State};
use engine::{SlotFile, SlotStatus};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::App;
use crate::body::Body;
use crate::error::{ApiError, Kind};
use crate::settings_json::settings;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    model: Option<String>,
    fail_on_no_slot: Option<String>,
}

/// What requests are about.
pub async fn list(
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, ApiError> {
    if !app.config().slots {
        return Err(ApiError::new(Kind::Unsupported, "/slots is turned off; start with --slots"));
    }
    let model = app.models().get(asked.model.as_deref()).await?;
    let metrics = model.ask(|worker| worker.metrics()).await?;
    let is_full = metrics.slots.iter().all(|slot| slot.request.is_some());
    if is_full && asked.fail_on_no_slot.is_some_and(|value| !matches!(&*value, "0" | "false")) {
        return Err(ApiError::new(Kind::Busy, "all slots are at work"));
    }
    Ok(Json(metrics.slots.iter().map(describe).collect()))
}

fn describe(slot: &SlotStatus) -> Value {
    let mut value = json!({
        "id": slot.id,
        "n_ctx": slot.n_ctx,
        "speculative": false,
        "is_processing": slot.request.is_some(),
        "n_past": slot.tokens,
    });
    if let Some(request) = &slot.request {
        let limit = request.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let mut params = settings(&request.sampling);
        params["n_predict"] = limit.into();
        params["max_tokens"] = limit.into();
        params["stop"] = request.stops.clone().into();
        value["id_task"] = request.number.into();
        value["params"] = params;
        value["n_prompt_tokens"] = request.prompt_tokens.into();
        value["n_prompt_tokens_cache"] = request.cached_tokens.into();
        let n_left = request.limit.map(|limit| limit.saturating_sub(request.generated_tokens));
        value["next_token"] = json!([{
            "has_next_token": true,
            "n_remain": n_left.map_or(Value::from(-1), Value::from),
            "n_decoded": request.generated_tokens,
        }]);
    }
    value
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Order {
    action: Option<String>,
    model: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    filename: Option<String>,
    model: Option<String>,
}

/// Saves what a slot holds, restores or erases it.
pub async fn act(
    State(app): State<App>,
    Parameter(id): Parameter<String>,
    Query(order): Query<Order>,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let id: usize = id.parse().map_err(|_| ApiError::invalid(format!("'{id}' is no slot")))?;
    let Some(folder) = &app.config().slot_save_path else {
        let message = "slots are not kept; start with --slot-save-path and a folder";
        return Err(ApiError::new(Kind::Unsupported, message));
    };
    let file: File = if body.is_empty() { File::default() } else { body.parse()? };
    let name = order.model.or(file.model);
    let model = app.models().get(name.as_deref()).await?;
    match order.action.as_deref() {
        Some("save") => {
            let (name, path) = in_folder(folder, file.filename)?;
            let saved = model.ask(move |worker| worker.save_slot(id, &path)).await?;
            Ok(done(id, &name, ["n_saved", "n_written", "save_ms"], &saved))
        }
        Some("restore") => {
            let (name, path) = in_folder(folder, file.filename)?;
            let read = model.ask(move |worker| worker.restore_slot(id, &path)).await?;
            Ok(done(id, &name, ["n_restored", "n_read", "restore_ms"], &read))
        }
        Some("erase") => {
            let n_erased = model.ask(move |worker| worker.erase_slot(id)).await?;
            Ok(Json(json!({ "id_slot": id, "n_erased": n_erased })))
        }
        _ => {
            Err(ApiError::invalid("'action' must be save, restore or erase")
                .with("param", "action"))
        }
    }
}

/// A file that a client may name: one of the folder itself.
fn in_folder(folder: &Path, name: Option<String>) -> Result<(String, PathBuf), ApiError> {
    let is_plain = |name: &String| {
        let mut parts = Path::new(name).components();
        let only = (parts.next(), parts.next());
        matches!(only, (Some(Component::Normal(part)), None) if part == name.as_str())
            && !name.contains(['/', '\\', ':', '\0'])
            && name.len() <= 255
    };
    let refused = || {
        let message = "'filename' must be the name of a file, without a folder";
        ApiError::invalid(message).with("param", "filename")
    };
    let name = name.filter(is_plain).ok_or_else(refused)?;
    Ok((name.clone(), folder.join(name)))
}

fn done(id: usize, name: &str, names: [&str; 3], file: &SlotFile) -> Json<Value> {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let [tokens, bytes, time] = names;
    Json(json!({
        "id_slot": id,
        "filename": name,
        tokens: file.tokens,
        bytes: file.bytes,
        "timings": { time: millis(file.time) },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_in_the_folder() {
        let path = |name: &str| in_folder(Path::new("/a"), Some(name.into())).map(|(_, path)| path);
        assert_eq!(path("b.bin").expect("a name"), Path::new("/a/b.bin"));
        for name in ["", ".", "..", "../b", "/b", "b/c", "b/", "b\\c", "C:b", "b\0", "./b"] {
            assert!(path(name).is_err(), "{name:?}");
        }
        assert!(in_folder(Path::new("/a"), None).is_err());
        assert!(path(&"x".repeat(300)).is_err());
    }
}

//! `/metrics`, for Prometheus: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::Write;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::App;
use crate::error::{ApiError, Kind};

/// `/metrics`.
pub async fn metrics(State(app): State<App>) -> Result<Response, ApiError> {
    if !app.config().metrics {
        let message = "/metrics is turned off; start with --metrics";
        return Err(ApiError::new(Kind::Unsupported, message));
    }
    let model = app.models().get(None).await?;
    let load = app.load(&model).await?;
    let mut text = String::new();
    for (name, kind, help, value) in [
        ("requests_processing", "gauge", "Requests that run.", load.running as f64),
        ("requests_deferred", "gauge", "Requests that wait.", load.waiting as f64),
        ("kv_cache_tokens", "gauge", "Positions that running requests use.", load.positions as f64),
    ] {
        let _ = writeln!(text, "# HELP llamacpp:{name} {help}");
        let _ = writeln!(text, "# TYPE llamacpp:{name} {kind}");
        let _ = writeln!(text, "llamacpp:{name} {value}");
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

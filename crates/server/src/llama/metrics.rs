//! `/metrics`, for Prometheus: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::Write;

use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use engine::Metrics;

use super::Named;
use crate::App;
use crate::error::{ApiError, Kind};

/// `/metrics`, of the model asked for or of all in memory.
pub async fn metrics(
    State(app): State<App>,
    Query(asked): Query<Named>,
) -> Result<Response, ApiError> {
    if !app.config().metrics {
        let message = "/metrics is turned off; start with --metrics";
        return Err(ApiError::new(Kind::Unsupported, message));
    }
    let models = match asked.model {
        Some(name) => vec![app.models().get(Some(&name)).await?],
        None => app.models().loaded(),
    };
    let mut all = Vec::with_capacity(models.len());
    for model in models {
        let label = match app.models().is_one() {
            true => String::new(),
            false => format!("{{model=\"{}\"}}", escaped(model.name())),
        };
        all.push((label, model.ask(|worker| worker.metrics()).await?));
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text(&all)).into_response())
}

/// A label's value.
fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A figure: its name, its kind, what it is, and where it comes from.
type Figure = (&'static str, &'static str, &'static str, fn(&Metrics) -> f64);

/// With the names of llama.cpp, as far as it has them.
const FIGURES: &[Figure] = &[
    ("prompt_tokens_total", "counter", "Prompt tokens evaluated.", |m| {
        m.totals.prompt_tokens as f64
    }),
    ("prompt_tokens_cached_total", "counter", "Prompt tokens that memory still held.", |m| {
        m.totals.cached_tokens as f64
    }),
    ("prompt_seconds_total", "counter", "Time of prompts.", |m| m.totals.prompt_time.as_secs_f64()),
    ("prompt_tokens_seconds", "gauge", "Prompt tokens per second.", |m| {
        per_second(m.totals.prompt_tokens, m.totals.prompt_time.as_secs_f64())
    }),
    ("tokens_predicted_total", "counter", "Tokens of answers.", |m| {
        m.totals.generated_tokens as f64
    }),
    ("tokens_predicted_seconds_total", "counter", "Time of answers.", |m| {
        m.totals.generation_time.as_secs_f64()
    }),
    ("predicted_tokens_seconds", "gauge", "Tokens of answers per second.", |m| {
        per_second(m.totals.generated_tokens, m.totals.generation_time.as_secs_f64())
    }),
    ("requests_processing", "gauge", "Requests that run.", |m| m.load.running as f64),
    ("requests_deferred", "gauge", "Requests that wait.", |m| {
        (m.load.waiting + m.load.embedding) as f64
    }),
    ("requests_finished_total", "counter", "Requests answered.", |m| m.totals.finished as f64),
    ("requests_failed_total", "counter", "Requests refused or failed.", |m| m.totals.failed as f64),
    ("requests_cancelled_total", "counter", "Requests that clients gave up.", |m| {
        m.totals.cancelled as f64
    }),
    ("n_decode_total", "counter", "Batches evaluated.", |m| m.totals.steps as f64),
    ("n_busy_slots_per_decode", "gauge", "Requests in a batch, on average.", |m| {
        m.totals.mean_requests()
    }),
    ("n_tokens_max", "counter", "Tokens of the largest batch.", |m| m.totals.largest_batch as f64),
    ("kv_cache_usage_ratio", "gauge", "Share of memory that running requests use.", Metrics::usage),
    ("kv_cache_tokens", "gauge", "Positions that running requests use.", |m| {
        m.positions_in_use as f64
    }),
    ("kv_cache_kept_tokens", "gauge", "Positions kept of earlier requests.", |m| {
        m.positions_kept as f64
    }),
    ("disk_cache_pages_read_total", "counter", "Pages read from the disk cache.", |m| {
        m.disk_cache.map_or(0.0, |cache| cache.pages_read as f64)
    }),
    ("disk_cache_pages_written_total", "counter", "Pages written to the disk cache.", |m| {
        m.disk_cache.map_or(0.0, |cache| cache.pages_written as f64)
    }),
];

fn per_second(tokens: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { tokens as f64 / seconds } else { 0.0 }
}

fn text(all: &[(String, Metrics)]) -> String {
    let mut text = String::new();
    for (name, kind, help, value) in FIGURES {
        let _ = writeln!(text, "# HELP llamacpp:{name} {help}");
        let _ = writeln!(text, "# TYPE llamacpp:{name} {kind}");
        for (label, metrics) in all {
            let _ = writeln!(text, "llamacpp:{name}{label} {}", value(metrics));
        }
    }
    text
}

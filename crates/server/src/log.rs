//! A line for each request.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::json;

use crate::client::Peer;
use crate::{App, ids};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id of a client that is taken over.
const LONGEST_ID: usize = 64;

/// Gives each request an id, and logs it as a line of JSON: no text, no keys. The time is the one to
/// the first byte of the answer.
pub async fn log(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let given = request.headers().get(&REQUEST_ID).filter(|id| id.len() <= LONGEST_ID).cloned();
    let id = given.or_else(|| HeaderValue::try_from(ids::fresh("req_")).ok());
    if let Some(id) = &id {
        request.headers_mut().insert(REQUEST_ID, id.clone());
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let peer = request.extensions().get::<Peer>().and_then(|peer| peer.0);
    let mut response = next.run(request).await;
    if app.config().log {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = json!({
            "time": time.as_secs_f64(),
            "id": id.as_ref().and_then(|id| id.to_str().ok()),
            "peer": peer,
            "method": method.as_str(),
            "path": path,
            "status": response.status().as_u16(),
            "ms": start.elapsed().as_secs_f64() * 1e3,
        });
        eprintln!("{line}");
    }
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

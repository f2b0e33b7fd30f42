//! API keys.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::App;
use crate::error::{ApiError, Kind};

/// Routes that need no key, as in llama.cpp: they tell nothing but that the server is there.
const OPEN: [&str; 6] =
    ["/health", "/v1/health", "/models", "/v1/models", "/api/tags", "/openapi.json"];

/// Lets those pass that bring a key, where keys are asked for.
pub async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    let keys = &app.config().api_keys;
    let path = request.uri().path();
    let is_open = OPEN.contains(&path) || app.is_page(path) || request.method() == Method::OPTIONS;
    if keys.is_empty() || is_open || given(request.headers()).any(|key| is_one_of(key, keys)) {
        return next.run(request).await;
    }
    ApiError::new(Kind::Unauthorized, "Invalid API Key").into_response()
}

/// The keys that a request brings.
fn given(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let bearer = headers.get_all(header::AUTHORIZATION).into_iter().filter_map(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(key.trim_ascii())
    });
    bearer.chain(headers.get_all("x-api-key").into_iter().map(|value| value.as_bytes()))
}

/// Takes as long for a wrong key as for one that is nearly right.
fn is_one_of(key: &[u8], keys: &[String]) -> bool {
    let is_equal = |other: &String| {
        let other = other.as_bytes();
        let differences = key.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b));
        key.len() == other.len() && std::hint::black_box(differences) == 0
    };
    keys.iter().fold(false, |found, other| found | is_equal(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_and_compared() {
        let keys = ["secret".to_owned(), "other".to_owned()];
        for (name, value, is_right) in [
            ("authorization", "Bearer secret", true),
            ("authorization", "bearer other", true),
            ("authorization", "Bearer secre", false),
            ("authorization", "Bearer secret2", false),
            ("authorization", "Basic secret", false),
            ("authorization", "short", false),
            ("x-api-key", "other", true),
            ("x-api-key", "", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("a header"));
            let found = given(&headers).any(|key| is_one_of(key, &keys));
            assert_eq!(found, is_right, "{name}: {value}");
        }
    }
}

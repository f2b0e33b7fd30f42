//! Bodies of requests.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use tower_http::timeout::TimeoutError;

use crate::error::{ApiError, Kind};

/// The whole body of a request, to be read as JSON.
///
/// The content type doesn't matter: many clients leave it out.
pub struct Body(Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state).await.map_err(refusal)?;
        // Otherwise fields that nobody reads might hold anything.
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(Self(bytes)),
            Err(error) => Err(ApiError::invalid(format!("the body is not UTF-8: {error}"))),
        }
    }
}

impl Body {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads JSON. Several types may be read from the same body, each its own fields.
    ///
    /// # Errors
    /// What is not JSON, and fields of other types, which the message names.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let mut json = serde_json::Deserializer::from_slice(&self.0);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            let inner = error.into_inner();
            match path.as_str() {
                "." => ApiError::invalid(format!("the body is no valid request: {inner}")),
                _ => {
                    ApiError::invalid(format!("'{path}' is not valid: {inner}")).with("param", path)
                }
            }
        })?;
        let excess = |error| ApiError::invalid(format!("the body is not JSON: {error}"));
        json.end().map_err(excess)?;
        Ok(value)
    }
}

fn refusal(rejection: BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return ApiError::new(Kind::TooLarge, "the body is larger than this server takes");
    }
    let mut cause: Option<&dyn std::error::Error> = Some(&rejection);
    while let Some(error) = cause {
        if error.is::<TimeoutError>() {
            return ApiError::new(Kind::Timeout, "the body took too long to come");
        }
        cause = error.source();
    }
    ApiError::invalid(format!("the body can't be read: {rejection}"))
}

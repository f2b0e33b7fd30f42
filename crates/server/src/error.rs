//! What can't be done, as each API says it.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// A refusal, with the status that all APIs share; each has its own way to write it.
#[derive(Debug, Clone)]
pub struct ApiError {
    kind: Kind,
    message: String,
    /// More facts for programs, by name.
    facts: Map<String, Value>,
}

/// Kinds of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request makes no sense.
    Invalid,
    /// The text is longer than the context.
    TooLong,
    /// No key, or not one of ours.
    Unauthorized,
    /// No such thing.
    NotFound,
    /// The route exists, but not with this method.
    Method,
    /// The client was too slow.
    Timeout,
    /// The body is larger than is taken.
    TooLarge,
    /// Something that this server, or its model, can't do.
    Unsupported,
    /// Too much to do; it may work later.
    Busy,
    /// Our fault.
    Internal,
}

impl Kind {
    fn status(self) -> StatusCode {
        match self {
            Self::Invalid | Self::TooLong => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unsupported => StatusCode::NOT_IMPLEMENTED,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// `error.type` of OpenAI and llama.cpp.
    fn openai(self) -> &'static str {
        match self {
            Self::Invalid | Self::Method | Self::Timeout | Self::TooLarge => {
                "invalid_request_error"
            }
            Self::TooLong => "exceed_context_size_error",
            Self::Unauthorized => "authentication_error",
            Self::NotFound => "not_found_error",
            Self::Unsupported => "not_supported_error",
            Self::Busy => "unavailable_error",
            Self::Internal => "server_error",
        }
    }

    /// `error.type` of Anthropic.
    fn anthropic(self) -> &'static str {
        match self {
            Self::Invalid | Self::TooLong | Self::Method | Self::Unsupported => {
                "invalid_request_error"
            }
            Self::Unauthorized => "authentication_error",
            Self::NotFound => "not_found_error",
            Self::Timeout => "timeout_error",
            Self::TooLarge => "request_too_large",
            Self::Busy => "overloaded_error",
            Self::Internal => "api_error",
        }
    }
}

impl ApiError {
    /// A refusal that says `message`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), facts: Map::new() }
    }

    /// A request that makes no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// With a fact for programs.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.into(), value.into());
        self
    }

    /// What is said.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// As OpenAI and llama.cpp write it.
    pub fn openai(&self) -> Value {
        let status = self.kind.status().as_u16();
        let mut error = Map::new();
        error.insert("code".into(), status.into());
        error.insert("message".into(), self.message.clone().into());
        error.insert("type".into(), self.kind.openai().into());
        error.insert("param".into(), Value::Null);
        error.extend(self.facts.clone());
        json!({ "error": error })
    }

    /// As Anthropic writes it.
    pub fn anthropic(&self) -> Value {
        let error = json!({ "type": self.kind.anthropic(), "message": self.message });
        json!({ "type": "error", "error": error })
    }

    /// As Ollama writes it.
    pub fn ollama(&self) -> Value {
        json!({ "error": self.message })
    }

    fn respond(self, body: Value) -> Response {
        let mut response = (self.kind.status(), Json(body)).into_response();
        if self.kind == Kind::Busy {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.kind == Kind::Unauthorized {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = self.openai();
        self.respond(body)
    }
}

/// Writes refusals as the API does that the path is of; OpenAI's way is that of all others.
pub async fn dialect(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_anthropic = path == "/v1/messages" || path.starts_with("/v1/messages/");
    let is_ollama = path.starts_with("/api/");
    let response = next.run(request).await;
    match (is_anthropic, is_ollama) {
        (true, _) => rewrite(response, ApiError::anthropic),
        (_, true) => rewrite(response, ApiError::ollama),
        _ => response,
    }
}

fn rewrite(mut response: Response, body: impl FnOnce(&ApiError) -> Value) -> Response {
    match response.extensions_mut().remove::<ApiError>() {
        Some(error) => {
            let body = body(&error);
            error.respond(body)
        }
        None => response,
    }
}

impl From<engine::Error> for ApiError {
    fn from(error: engine::Error) -> Self {
        use engine::Error;
        let message = error.to_string();
        match error {
            Error::PromptTooLong { tokens, n_ctx } => Self::new(Kind::TooLong, message)
                .with("n_prompt_tokens", tokens)
                .with("n_ctx", n_ctx),
            Error::EmptyPrompt
            | Error::Template(_)
            | Error::NotLoaded { .. }
            | Error::NoSlotFile { .. }
            | Error::Model(model::Error::Token { .. } | model::Error::EmptyText) => {
                Self::invalid(message)
            }
            Error::NoModel { .. } | Error::NoSlot { .. } => Self::new(Kind::NotFound, message),
            Error::SlotFile { error, .. } if error.kind() == std::io::ErrorKind::NotFound => {
                Self::new(Kind::NotFound, message)
            }
            Error::Grammar(error) => error.into(),
            Error::Busy { .. }
            | Error::FleetBusy { .. }
            | Error::SlotBusy { .. }
            | Error::SlotLost { .. } => Self::new(Kind::Busy, message),
            Error::NotGenerative { .. }
            | Error::Model(model::Error::NoClassifier | model::Error::NoEmbeddings) => {
                Self::new(Kind::Unsupported, message)
            }
            _ => Self::new(Kind::Internal, message),
        }
    }
}

impl From<chat::Error> for ApiError {
    fn from(error: chat::Error) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<grammar::Error> for ApiError {
    fn from(error: grammar::Error) -> Self {
        let kind = match error {
            grammar::Error::Vocabulary(_) => Kind::Unsupported,
            _ => Kind::Invalid,
        };
        Self::new(kind, error.to_string())
    }
}

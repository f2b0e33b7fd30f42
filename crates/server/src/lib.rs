//! HTTP for models: the APIs of OpenAI, Anthropic, llama.cpp and Ollama.
//!
//! [`Server::bind`] opens the port, [`Server::run`] serves until it is told to stop. Each API has a
//! folder with its routes; they share how requests are read, checked, handed to the engine and
//! answered.
#![forbid(unsafe_code)]

mod address;
mod anthropic;
mod auth;
mod body;
mod client;
mod config;
mod error;
mod form;
mod generate;
mod generation;
mod ids;
mod infill;
mod listen;
mod llama;
mod log;
mod models;
mod ollama;
mod openai;
mod openapi;
mod page;
mod probabilities;
mod prompt;
mod routes;
mod sampling;
mod settings_json;
mod sse;
mod turn;
mod vectors;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Redirect;
use axum::routing::get;
use tower_http::cors::CorsLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

pub use config::{Address, Config};
pub use listen::{Server, ServerError};
pub use models::{Finder, Manner, Models};

use error::{ApiError, Kind};
use routes::Routes;

/// What all requests share.
#[derive(Clone)]
struct App(Arc<Shared>);

struct Shared {
    config: Config,
    models: Models,
}

impl App {
    fn config(&self) -> &Config {
        &self.0.config
    }

    fn models(&self) -> &Models {
        &self.0.models
    }

    /// Whether a path is a file of the web page.
    fn is_page(&self, path: &str) -> bool {
        self.config().web_ui && page::has(path)
    }
}

/// The routes of all APIs.
fn routes() -> Routes {
    openai::routes()
        .and(anthropic::routes())
        .and(llama::routes())
        .and(ollama::routes())
        .and(openapi::routes())
}

/// All routes, with what is done for each request.
fn router(app: App) -> Router {
    let config = app.config();
    let dialect = axum::middleware::from_fn(error::dialect);
    let has_page = config.web_ui;
    let other = async move |method: Method, uri: Uri, headers: HeaderMap| {
        let is_read = method == Method::GET || method == Method::HEAD;
        let page = if has_page && is_read { page::serve(&uri, &headers) } else { None };
        page.ok_or_else(|| {
            ApiError::new(Kind::NotFound, format!("there is no {method} {}", uri.path()))
        })
    };
    let wrong_method = async |method: Method, uri: Uri| {
        ApiError::new(Kind::Method, format!("{} doesn't take {method}", uri.path()))
    };
    let check = axum::middleware::from_fn_with_state(app.clone(), auth::check);
    let log = axum::middleware::from_fn_with_state(app.clone(), log::log);
    let routes = routes()
        .router
        .fallback(other)
        .method_not_allowed_fallback(wrong_method)
        .layer(check)
        .layer(DefaultBodyLimit::max(config.max_body))
        .layer(RequestBodyTimeoutLayer::new(config.timeout))
        .layer(dialect)
        .layer(CorsLayer::permissive())
        .layer(log);
    let routes = match config.prefix.trim_end_matches('/') {
        "" => routes,
        prefix => {
            // The page's addresses are relative to its own.
            let page = format!("{prefix}/");
            let to_page = get(async move || Redirect::permanent(&page));
            Router::new().route(prefix, to_page).nest(prefix, routes)
        }
    };
    routes.with_state(app)
}

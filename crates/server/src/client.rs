//! Who asks.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

/// The machine at the other end of a connection; none for sockets in the file system.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub Option<IpAddr>);

/// Tells clients apart, so that each has its turn: by their key, else by their machine.
#[derive(Debug, Clone, Copy)]
pub struct ClientId(pub u64);

impl<S: Send + Sync> FromRequestParts<S> for ClientId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let mut hasher = DefaultHasher::new();
        let keys = [header::AUTHORIZATION.as_str(), "x-api-key"];
        match keys.iter().find_map(|&name| parts.headers.get(name)) {
            Some(key) => key.as_bytes().hash(&mut hasher),
            None => parts.extensions.get::<Peer>().and_then(|peer| peer.0).hash(&mut hasher),
        }
        Ok(Self(hasher.finish()))
    }
}

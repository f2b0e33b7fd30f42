//! Connections.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower::ServiceExt;

use crate::client::Peer;
use crate::{Address, App, Config, Models, Shared, router};

/// How long a client may take for the handshake of TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait before connections are accepted again where there are no descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a server can't start.
#[derive(Debug, Error)]
pub enum ServerError {
    /// Anybody could use it.
    #[error("{0} can be reached from other machines, and no keys are asked for")]
    Public(String),
    /// The address can't be used.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The certificate or its key can't be used.
    #[error("can't use '{path}' for TLS: {reason}")]
    Tls {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// A server that listens.
pub struct Server {
    listener: Listener,
    router: Router,
    tls: Option<TlsAcceptor>,
    max_connections: usize,
    head_timeout: Duration,
    address: String,
}

enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, PathBuf),
}

impl Server {
    /// Listens for requests to `models`.
    ///
    /// # Errors
    /// Addresses that can't be used or that anybody could reach, and unusable certificates.
    pub async fn bind(config: Config, models: Models) -> Result<Self, ServerError> {
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        let tls = config.tls.as_ref().map(|(chain, key)| acceptor(chain, key)).transpose()?;
        if !config.address.is_local() && config.api_keys.is_empty() && !config.unsecure {
            return Err(ServerError::Public(name_of(&config.address)));
        }
        let refused = |source| ServerError::Listen { address: name_of(&config.address), source };
        let (listener, address) = match &config.address {
            Address::Tcp(host, port) => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let listener = TcpListener::bind((host, *port)).await.map_err(refused)?;
                let bound = listener.local_addr().map_err(refused)?;
                (Listener::Tcp(listener), format!("{scheme}://{bound}"))
            }
            Address::Unix(path) => unix(path).map_err(refused)?,
        };
        let max_connections = config.max_connections.max(1);
        let head_timeout = config.head_timeout;
        let router = router(App(Arc::new(Shared { config, models })));
        Ok(Self { listener, router, tls, max_connections, head_timeout, address })
    }

    /// Where it listens, as a URL.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Serves until `stop`; then takes no more connections and finishes the answers that it has
    /// begun.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(self.max_connections));
        let mut stop = std::pin::pin!(stop);
        loop {
            let place = tokio::select! {
                place = places.clone().acquire_owned() => place,
                () = &mut stop => break,
            };
            let Ok(place) = place else { break };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut stop => break,
            };
            let Ok((stream, peer)) = accepted else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let (router, tls) = (self.router.clone(), self.tls.clone());
            let (watcher, head_timeout) = (graceful.watcher(), self.head_timeout);
            tokio::spawn(async move {
                let _place = place;
                let Some(stream) = secure(stream, tls).await else { return };
                let serve = hyper::service::service_fn(move |mut request: Request<Incoming>| {
                    request.extensions_mut().insert(peer);
                    let answer = router.clone().oneshot(request.map(Body::new));
                    async move { answer.await.map_err(|never: Infallible| match never {}) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(head_timeout)
                    .serve_connection(TokioIo::new(stream), serve);
                // A connection that breaks is the client's business.
                let _ = watcher.watch(connection).await;
            });
        }
        drop(self.listener);
        graceful.shutdown().await;
    }
}

/// A connection of any kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn secure(stream: Box<dyn Stream>, tls: Option<TlsAcceptor>) -> Option<Box<dyn Stream>> {
    let Some(tls) = tls else { return Some(stream) };
    let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await;
    Some(Box::new(handshake.ok()?.ok()?))
}

impl Listener {
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer): (_, SocketAddr) = listener.accept().await?;
                // Answers come in small pieces, each at once.
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), Peer(Some(peer.ip()))))
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), Peer(None)))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Self::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(unix)]
fn unix(path: &Path) -> io::Result<(Listener, String)> {
    // One that a server left behind, to which nobody answers any more.
    if std::os::unix::net::UnixStream::connect(path)
        .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    Ok((Listener::Unix(listener, path.to_owned()), format!("unix:{}", path.display())))
}

#[cfg(not(unix))]
fn unix(_: &Path) -> io::Result<(Listener, String)> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "sockets in the file system need Unix"))
}

fn name_of(address: &Address) -> String {
    match address {
        Address::Tcp(host, port) if host.contains(':') && !host.starts_with('[') => {
            format!("[{host}]:{port}")
        }
        Address::Tcp(host, port) => format!("{host}:{port}"),
        Address::Unix(path) => path.display().to_string(),
    }
}

fn acceptor(chain: &Path, key: &Path) -> Result<TlsAcceptor, ServerError> {
    let refused = |path: &Path, reason: &dyn ToString| ServerError::Tls {
        path: path.to_owned(),
        reason: reason.to_string(),
    };
    let certificates = CertificateDer::pem_file_iter(chain).map_err(|e| refused(chain, &e))?;
    let certificates: Vec<_> =
        certificates.collect::<Result<_, _>>().map_err(|e| refused(chain, &e))?;
    if certificates.is_empty() {
        return Err(refused(chain, &"it has no certificate"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| refused(key, &e))?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .map_err(|e| refused(key, &e))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

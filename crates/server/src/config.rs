//! Settings of a server.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of a server; see the fields of the default.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub address: Address,
    /// Keys of which requests must bring one; none are asked for where this is empty.
    pub api_keys: Vec<String>,
    /// Allows to listen beyond this machine without keys.
    pub unsecure: bool,
    /// Certificate chain and private key, as PEM files, for TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Longest time to wait for the next byte of a request.
    pub timeout: Duration,
    /// Longest time for the head of a request to come.
    pub head_timeout: Duration,
    /// Bytes of a request's body.
    pub max_body: usize,
    /// Connections at the same time; others wait to be accepted.
    pub max_connections: usize,
    /// Requests that may wait for their turn; more are refused.
    pub max_waiting: usize,
    /// Tokens of an answer where the request doesn't say; `None` for what the context has room for.
    pub limit: Option<usize>,
    /// Before the routes of everything, such as `/llm`.
    pub prefix: String,
    /// Whether `/slots` tells what requests are about.
    pub slots: bool,
    /// The folder for slots that clients have saved to files; none are without it.
    pub slot_save_path: Option<PathBuf>,
    /// Whether `/metrics` is served.
    pub metrics: bool,
    /// Whether the web pages are served.
    pub web_ui: bool,
    /// Whether requests are logged with their text.
    pub log_text: bool,
    /// Whether requests are logged at all.
    pub log: bool,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A host's name or address, and a port.
    Tcp(String, u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl Address {
    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(host, _) => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let ip = host.parse::<IpAddr>();
                host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
            }
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: Address::Tcp("127.0.0.1".into(), 8080),
            api_keys: Vec::new(),
            unsecure: false,
            tls: None,
            timeout: Duration::from_secs(600),
            head_timeout: Duration::from_secs(30),
            max_body: 256 << 20,
            max_connections: 1024,
            max_waiting: 512,
            limit: None,
            prefix: String::new(),
            slots: true,
            slot_save_path: None,
            metrics: false,
            web_ui: true,
            log_text: false,
            log: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses_are_known() {
        let tcp = |host: &str| Address::Tcp(host.into(), 1).is_local();
        assert!(
            tcp("localhost") && tcp("127.0.0.1") && tcp("127.9.9.9") && tcp("::1") && tcp("[::1]")
        );
        assert!(!tcp("0.0.0.0") && !tcp("::") && !tcp("192.168.1.2") && !tcp("example.org"));
        assert!(Address::Unix("/tmp/x".into()).is_local());
    }
}

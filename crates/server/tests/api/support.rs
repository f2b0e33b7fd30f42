//! A server on a port of its own, and a client that hides nothing.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{LazyLock, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use engine::fleet::{Fleet, FleetOptions};
use engine::{Engine, Options};
use gguf::Location;
use sample::Params;
use serde_json::{Value, json};
use server::{Address, Config, Manner, Models, Server};
use tokio::sync::oneshot;

use crate::model;

/// The context of most tests.
pub const N_CTX: usize = 2048;

/// One that most tests share.
pub static SERVER: LazyLock<Running> = LazyLock::new(|| {
    let config = Config { metrics: true, ..config() };
    Running::start("shared", N_CTX, config)
});

/// Settings for tests.
pub fn config() -> Config {
    Config { address: Address::Tcp("127.0.0.1".into(), 0), log: false, ..Config::default() }
}

/// The likeliest token, always.
pub fn greedy() -> Params {
    Params { temperature: 0.0, ..<_>::default() }
}

/// A server that runs.
pub struct Running {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Starts one with a model.
    pub fn start(name: &str, n_ctx: usize, config: Config) -> Self {
        Self::sampled(name, n_ctx, config, greedy())
    }

    /// Starts one with a model that chooses tokens so.
    pub fn sampled(name: &str, n_ctx: usize, config: Config, sampling: Params) -> Self {
        let models = [("tiny".into(), model::file(name).into())].into();
        let default_model = Some("tiny".into());
        let fleet = FleetOptions { default_model, most_waiting: 64, ..<_>::default() };
        Self::with(models, n_ctx, fleet, config, sampling)
    }

    /// Starts one with several models.
    pub fn with(
        models: BTreeMap<String, Location>,
        n_ctx: usize,
        options: FleetOptions,
        config: Config,
        sampling: Params,
    ) -> Self {
        let engine = Options {
            n_ctx: Some(n_ctx),
            n_positions: Some(4 * n_ctx),
            parallel: 4,
            threads: Some(1),
            ..Options::default()
        };
        let fleet = Fleet::new(models, FleetOptions { engine, ..options }).expect("a fleet");
        let manner = move |engine: &Engine| Manner {
            template: engine.template().map_err(|error| error.to_string()),
            sampling: sampling.clone(),
        };
        let models = Models::new(fleet, manner, None);
        let (stop, stopped) = oneshot::channel();
        let (sender, address) = mpsc::channel();
        let run = async move {
            let server = Server::bind(config, models).await.expect("a port");
            let address = server.address().trim_start_matches("http://").parse().expect("a port");
            sender.send(address).expect("somebody who waits");
            server.run(async { _ = stopped.await }).await;
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let thread = std::thread::spawn(move || runtime.expect("threads").block_on(run));
        let address = address.recv().expect("a server");
        Self { address, stop, thread }
    }

    /// Tells it to stop.
    pub fn stop(self) -> JoinHandle<()> {
        self.stop.send(()).expect("a server that runs");
        self.thread
    }

    /// Sends a request and reads the whole answer.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut stream = self.begin(method, path, headers, body);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        Reply::parse(&bytes)
    }

    /// Sends a request, and leaves the answer to be read.
    pub fn begin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> TcpStream {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        if !body.is_empty() {
            head += &format!("content-length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let mut stream = TcpStream::connect(self.address).expect("a server");
        stream.set_read_timeout(Some(Duration::from_secs(120))).expect("a timeout");
        stream.write_all((head + "\r\n").as_bytes()).expect("a connection");
        // A server that refuses may not want all of it.
        let _ = stream.write_all(body);
        stream
    }

    /// Asks for something.
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"")
    }

    /// Sends JSON.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[], body.to_string().as_bytes())
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let head = head.to_lowercase();
        let body = match head.contains("transfer-encoding: chunked") {
            true => dechunk(body),
            false => body.to_owned(),
        };
        Self { status: status.expect("a status"), head, body }
    }

    /// The body of an answer that is no refusal.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// The body of a refusal with this status.
    #[track_caller]
    pub fn refusal(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// Server-sent events: their names, and their data where that is JSON.
    #[track_caller]
    pub fn events(&self) -> Vec<(String, Value)> {
        assert_eq!(self.status, 200, "{}", self.body);
        assert!(self.head.contains("content-type: text/event-stream"), "{}", self.head);
        let events = self.body.split("\n\n").filter(|event| event.contains("data: "));
        let field = |event: &str, name: &str| {
            let lines = event.lines().filter_map(|line| line.strip_prefix(name));
            lines.collect::<String>()
        };
        let parse = |event| {
            let data = field(event, "data: ");
            (field(event, "event: "), serde_json::from_str(&data).unwrap_or(json!(data)))
        };
        events.map(parse).collect()
    }

    /// Lines of JSON.
    #[track_caller]
    pub fn lines(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.body);
        assert!(self.head.contains("content-type: application/x-ndjson"), "{}", self.head);
        self.body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

fn dechunk(mut text: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        body += &rest[..size];
        text = rest[size..].trim_start_matches("\r\n");
    }
    body
}

/// A bias that leaves only this token.
pub fn only(id: u32) -> Value {
    json!({ id.to_string(): 1000 })
}

/// A conversation of one message.
pub fn user(text: &str) -> Value {
    json!([{ "role": "user", "content": text }])
}

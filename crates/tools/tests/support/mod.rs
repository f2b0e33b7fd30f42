//! Small models for tests, changed as they need.

#![allow(dead_code)] // Each test file uses a part.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use gguf::{Gguf, Value, Writer};

/// A folder that is removed in the end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("llamafile-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), content).expect("a file");
        self.path(name)
    }

    /// Names of all files, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The bytes of a model with other or further keys.
pub fn with_keys(model: &Gguf, keys: &[(&str, Value<'_>)]) -> Vec<u8> {
    changed(model, keys, |_, data| data)
}

/// The bytes of a model with other or further keys, and data of tensors that `change` makes of their
/// own.
pub fn changed(
    model: &Gguf,
    keys: &[(&str, Value<'_>)],
    change: impl Fn(&str, Vec<u8>) -> Vec<u8>,
) -> Vec<u8> {
    let mut writer = Writer::new();
    let is_changed = |key: &str| keys.iter().any(|(changed, _)| *changed == key);
    for (key, value) in model.metadata().iter().filter(|(key, _)| !is_changed(key)) {
        writer.put(key, value).expect("a new key");
    }
    for (key, value) in keys {
        writer.put(key, *value).expect("a new key");
    }
    for tensor in model.tensors() {
        let data = change(&tensor.name, model.data(tensor).to_vec());
        writer
            .tensor(&tensor.name, tensor.ty, &tensor.shape, move |out| out.write_all(&data))
            .expect("a new tensor");
    }
    let mut file = Vec::new();
    writer.finish(&mut file).expect("memory");
    file
}

pub fn parsed(file: Vec<u8>) -> Gguf {
    Gguf::parse(Bytes::from(file)).expect("a valid file")
}

/// All tensors with their data.
pub fn contents(path: &Path) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    let model = Gguf::open(path).expect("a valid file");
    let tensors = model.tensors().iter();
    tensors.map(|t| (t.name.clone(), t.shape.clone(), model.data(t).to_vec())).collect()
}

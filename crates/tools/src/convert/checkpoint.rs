//! The weights of a folder: one file, or several that an index lists.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Error;
use super::folder::Folder;
use super::safetensors::{Stored, read_header};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Most files that an index may list.
const MAX_FILES: usize = 10_000;

/// All tensors of a folder.
#[derive(Debug)]
pub struct Checkpoint {
    /// The files.
    pub files: Vec<PathBuf>,
    /// By name: which file has it, and what.
    pub tensors: BTreeMap<String, (usize, Stored)>,
    /// What lists them all.
    pub list: PathBuf,
}

impl Checkpoint {
    /// Reads the headers. `rename` gives the name that a tensor goes by, `None` for those that the model
    /// doesn't need.
    pub fn open(folder: &Folder, rename: fn(&str) -> Option<String>) -> Result<Self, Error> {
        let index = folder.opt_json(INDEX)?;
        let names = if index.is_null() { vec![SINGLE.to_owned()] } else { listed(folder, &index)? };
        let list = folder.path.join(if index.is_null() { SINGLE } else { INDEX });
        let mut checkpoint = Self { files: Vec::new(), tensors: BTreeMap::new(), list };
        for name in names {
            checkpoint.add(folder.path.join(name), rename)?;
        }
        for (tensor, file) in index["weight_map"].as_object().into_iter().flatten() {
            let Some(ours) = rename(tensor) else { continue };
            if !checkpoint.tensors.contains_key(&ours) {
                let file = file.as_str().unwrap_or_default();
                return Err(folder.wrong(
                    file,
                    format!("no tensor {tensor}"),
                    "it, as in the index",
                ));
            }
        }
        Ok(checkpoint)
    }

    fn add(&mut self, path: PathBuf, rename: fn(&str) -> Option<String>) -> Result<(), Error> {
        let no = self.files.len();
        for (theirs, stored) in read_header(&path)? {
            let Some(name) = rename(&theirs) else { continue };
            if self.tensors.insert(name, (no, stored)).is_some() {
                let what = format!("{theirs}, as another file or under another name");
                return Err(Error::Content { path, what, expected: "it once".into() });
            }
        }
        self.files.push(path);
        Ok(())
    }
}

/// The files that an index names, which are in the folder itself.
fn listed(folder: &Folder, index: &serde_json::Value) -> Result<Vec<String>, Error> {
    let Some(map) = index["weight_map"].as_object() else {
        return Err(folder.wrong(INDEX, "no weight_map".into(), "one"));
    };
    let mut names = Vec::new();
    for (tensor, file) in map {
        let name = file.as_str().unwrap_or_default();
        if Path::new(name).file_name().is_none_or(|last| last != name) {
            let what = format!("{tensor} in {file}");
            return Err(folder.wrong(INDEX, what, "the name of a file of the folder"));
        }
        names.push(name.to_owned());
    }
    names.sort();
    names.dedup();
    match names.len() {
        1..=MAX_FILES => Ok(names),
        count => Err(folder.wrong(INDEX, format!("{count} files"), "1 to 10000")),
    }
}

//! Where a model is: in files of its own, or stored within another file.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::{Error, Gguf, mmap};

/// A model file, or a model stored whole within another file such as a ZIP archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    path: PathBuf,
    container: Option<Container>,
}

/// The file around stored models.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Container {
    path: PathBuf,
    /// All stored files, by the path that stands for each.
    parts: HashMap<PathBuf, Range<u64>>,
}

impl Location {
    /// The model `name` among the `members` of the file `container`: names, and the bytes of each.
    /// Other shards of a split model are looked for there, too.
    pub fn within(
        container: &Path,
        name: &str,
        members: impl IntoIterator<Item = (String, Range<u64>)>,
    ) -> Self {
        let path = |name: &str| {
            let mut path = container.as_os_str().to_owned();
            path.push("@");
            path.push(name);
            PathBuf::from(path)
        };
        let parts = members.into_iter().map(|(name, part)| (path(&name), part)).collect();
        let container_path = container.to_owned();
        Self { path: path(name), container: Some(Container { path: container_path, parts }) }
    }

    /// The path that stands for the model: that of its file, or `CONTAINER@NAME`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Maps the file that the model, or a shard of it, has at `path`.
    pub(crate) fn map(&self, path: &Path) -> Result<Bytes, Error> {
        let Some(container) = &self.container else { return mmap::map(path) };
        let missing = || Error::Io { path: path.to_owned(), error: io::ErrorKind::NotFound.into() };
        mmap::map_part(&container.path, container.parts.get(path).ok_or_else(missing)?.clone())
    }

    /// Maps the model; see [`Gguf::open`].
    ///
    /// # Errors
    /// Those of [`Gguf::open`].
    pub fn open(&self) -> Result<Gguf, Error> {
        Gguf::open_at(self)
    }
}

impl<P: Into<PathBuf>> From<P> for Location {
    fn from(path: P) -> Self {
        Self { path: path.into(), container: None }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

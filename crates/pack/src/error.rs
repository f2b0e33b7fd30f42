//! Why a file can't be packed, read or changed.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a file can't be packed, read or changed; each message names the file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refuses an operation.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was attempted, such as `read`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// Not a llamafile, or one that was cut off: the list of members is at the end of the file.
    #[error(
        "{}: there is no list of packed files at its end; expected a whole llamafile",
        path.display()
    )]
    NotPacked {
        /// The file.
        path: PathBuf,
    },
    /// What is stored can't be trusted.
    #[error("{}: {problem}; the file is incomplete or damaged, fetch it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, naming the entry.
        problem: String,
    },
    /// No entry of that name.
    #[error("{}: there is no {name} in it", path.display())]
    NoEntry {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        name: String,
    },
    /// An executable that isn't what it shall be.
    #[error("{name}: {problem}")]
    Engine {
        /// The file or target.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// No executable for a system.
    #[error("there is no engine for {target}; expected one of {available}")]
    NoEngine {
        /// The system.
        target: String,
        /// Systems there are engines for.
        available: String,
    },
    /// Names that can't be stored.
    #[error("the name {name:?} {problem}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Arguments that `.args` can't hold.
    #[error("the argument {argument:?} {problem}, so that it can't be stored")]
    Argument {
        /// The argument.
        argument: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The engine is larger than the room at the file's front.
    #[error(
        "{}: the engine needs {need} bytes at the front of the file, and there is room for {room}",
        path.display()
    )]
    Room {
        /// The file.
        path: PathBuf,
        /// Bytes of the engine.
        need: u64,
        /// Bytes in front of what is stored.
        room: u64,
    },
}

impl Error {
    /// For `map_err`: the system refused to do `action` with the file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { action, path, error }
    }

    pub(crate) fn damaged(path: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn engine(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Engine { name: name.into(), problem: problem.into() }
    }
}

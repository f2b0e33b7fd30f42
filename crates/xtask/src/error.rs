//! What can go wrong in a task.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Why a task failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments make no sense.
    #[error("{0}")]
    Usage(String),
    /// Tools that this machine lacks and that cannot be installed from here.
    #[error("this machine lacks {0}")]
    Missing(String),
    /// A file or folder.
    #[error("cannot {verb} {}: {source}", path.display())]
    File {
        /// What was to be done with it.
        verb: &'static str,
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another program failed; it has told why.
    #[error("{program} failed: {outcome}")]
    Program {
        /// What was run.
        program: String,
        /// How it ended, or why it did not start.
        outcome: String,
    },
    /// An executable is not what it should be.
    #[error("{}: {reason}", path.display())]
    Executable {
        /// Which one.
        path: PathBuf,
        /// What was found and what was expected.
        reason: String,
    },
    /// Two builds of one executable differ.
    #[error("{name} is not reproducible: {first} and {second} differ")]
    Unreproducible {
        /// Which one.
        name: String,
        /// The build of this folder.
        first: String,
        /// The build of its copy.
        second: String,
    },
}

impl Error {
    /// For use in `map_err` of an operation on a file.
    pub fn file(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { verb, path, source }
    }

    /// 77, by which test runners know a skipped test, where the machine lacks tools.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Missing(_) => ExitCode::from(77),
            _ => ExitCode::FAILURE,
        }
    }
}

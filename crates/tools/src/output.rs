//! Files that appear under their name when they are complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// An error that can tell of a file that can't be written.
pub(crate) trait Failure: Sized {
    /// Output to the file of this path failed.
    fn write(path: PathBuf, error: io::Error) -> Self;

    /// The system's reason, where output failed and the error does not name the file.
    fn nameless(self) -> Result<io::Error, Self>;
}

/// Implements [`Failure`] for an error with the variants `File` of `gguf` and `Write`.
macro_rules! failure {
    ($error:ty) => {
        impl crate::output::Failure for $error {
            fn write(path: std::path::PathBuf, error: std::io::Error) -> Self {
                Self::Write { path, error }
            }

            fn nameless(self) -> Result<std::io::Error, Self> {
                match self {
                    Self::File(gguf::Error::Write(error)) => Ok(error),
                    other => Err(other),
                }
            }
        }
    };
}
pub(crate) use failure;

/// Has `write` fill a file beside `path`, which takes its place once all of it is written.
pub(crate) fn write_file<E: Failure>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), E>,
) -> Result<(), E> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let failed = |error| E::write(path.to_owned(), error);
    let mut out = BufWriter::new(File::create(&part).map_err(failed)?);
    let written = write(&mut out).map_err(|error| error.nameless().map_or_else(|e| e, failed));
    let written = written.and_then(|()| out.flush().map_err(failed));
    drop(out);
    let renamed = written.and_then(|()| fs::rename(&part, path).map_err(failed));
    if renamed.is_err() {
        // That the remains can't be removed either matters less than why.
        let _ = fs::remove_file(&part);
    }
    renamed
}

/// Reports what passes.
pub(crate) struct Watched<'a, W> {
    out: &'a mut W,
    written: u64,
    total: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl<'a, W> Watched<'a, W> {
    /// Reports bytes of `total`, which may leave out what describes them.
    pub(crate) fn new(out: &'a mut W, total: u64, progress: &'a mut dyn FnMut(u64, u64)) -> Self {
        Self { out, written: 0, total, progress }
    }
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.out.write(bytes)?;
        self.written = (self.written + len as u64).min(self.total);
        (self.progress)(self.written, self.total);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn a_file_that_fails_leaves_nothing() {
        let folder = std::env::temp_dir().join(format!("tools-output-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("x");
        let failed = write_file(&path, |out| {
            out.write_all(b"half").expect("room");
            Err(Error::Isa("no".into()))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 0);
        let full = |out: &mut BufWriter<File>| {
            out.write_all(b"whole").expect("room");
            Ok::<_, Error>(())
        };
        write_file(&path, full).expect("a file");
        assert_eq!(fs::read(&path).expect("a file"), b"whole");
        fs::remove_dir_all(&folder).expect("it is ours");
    }
}

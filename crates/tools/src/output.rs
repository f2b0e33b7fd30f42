//! Files that appear under their name when they are complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::Error;

/// Has `write` fill a file beside `path`, which takes its place once all of it is written.
pub(crate) fn write_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let failed = |error| Error::Write { path: path.to_owned(), error };
    let mut out = BufWriter::new(File::create(&part).map_err(failed)?);
    let written = write(&mut out).map_err(|error| match error {
        Error::File(gguf::Error::Write(error)) => failed(error),
        other => other,
    });
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
            Ok(())
        };
        write_file(&path, full).expect("a file");
        assert_eq!(fs::read(&path).expect("a file"), b"whole");
        fs::remove_dir_all(&folder).expect("it is ours");
    }
}

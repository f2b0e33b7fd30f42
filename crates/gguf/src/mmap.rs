//! Mapping a file into memory: the only `unsafe` of the crate.

#![allow(unsafe_code)]

use std::fs::File;
use std::path::Path;

use bytes::Bytes;
use memmap2::Mmap;

use crate::Error;

/// Maps a whole file read-only; the mapping lives as long as any slice of the returned bytes.
///
/// # Errors
/// A missing or unreadable file, a directory, an empty file.
pub fn map(path: &Path) -> Result<Bytes, Error> {
    let failed = |error| Error::Io { path: path.to_owned(), error };
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_dir() {
        return Err(Error::Directory { path: path.to_owned() });
    }
    if about.len() == 0 {
        return Err(Error::Empty.in_file(path));
    }
    // SAFETY: the mapping is private to `Bytes` and never written through. What remains is that
    // nobody truncates or rewrites the file while it is mapped; the operating system offers no
    // guard against that, and every program that maps models asks it of its user.
    let mapped = unsafe { Mmap::map(&file) }.map_err(failed)?;
    Ok(Bytes::from_owner(mapped))
}

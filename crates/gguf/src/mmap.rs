//! Mapping a file into memory: the only `unsafe` of the crate.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use memmap2::MmapOptions;

use crate::Error;

/// Maps a whole file read-only; the mapping lives as long as any slice of the returned bytes.
///
/// # Errors
/// A missing or unreadable file, a directory, an empty file.
pub fn map(path: &Path) -> Result<Bytes, Error> {
    map_bytes(path, None)
}

/// Maps a part of a file read-only, wherever it begins.
///
/// # Errors
/// The same as [`map`], and a part that is empty or does not lie within the file.
pub fn map_part(path: &Path, part: Range<u64>) -> Result<Bytes, Error> {
    map_bytes(path, Some(part))
}

fn map_bytes(path: &Path, part: Option<Range<u64>>) -> Result<Bytes, Error> {
    let failed = |error| Error::Io { path: path.to_owned(), error };
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_dir() {
        return Err(Error::Directory { path: path.to_owned() });
    }
    let part = part.unwrap_or(0..about.len());
    if part.end > about.len() {
        return Err(failed(io::ErrorKind::UnexpectedEof.into()));
    }
    let len = part.end.saturating_sub(part.start);
    if len == 0 {
        return Err(Error::Empty.in_file(path));
    }
    let len = usize::try_from(len).map_err(|_| failed(io::ErrorKind::FileTooLarge.into()))?;
    // SAFETY: the mapping is private to `Bytes` and never written through. What remains is that
    // nobody truncates or rewrites the file while it is mapped; the operating system offers no
    // guard against that, and every program that maps models asks it of its user.
    let mapped = unsafe { MmapOptions::new().offset(part.start).len(len).map(&file) };
    Ok(Bytes::from_owner(mapped.map_err(failed)?))
}

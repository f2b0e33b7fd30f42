//! Taking the members of a file out again.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::archive::Archive;

/// Writes all members to a folder and checks them; files that are there already stay as they are.
/// Returns the files. `progress` hears of bytes done and of all bytes.
///
/// # Errors
/// A member that is damaged, or a file that exists or can't be written.
pub fn unpack(
    archive: &Archive,
    folder: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<PathBuf>, Error> {
    let total = archive.entries().iter().map(|entry| entry.size()).sum();
    let mut done = 0;
    let mut files = Vec::new();
    for entry in archive.entries() {
        // Names were checked: they are relative and stay below the folder.
        let path = folder.join(entry.name());
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        let mut file = File::create_new(&path).map_err(Error::io("create", &path))?;
        let mut written = Ok(());
        archive.stream(entry, &mut |chunk| {
            if written.is_ok() {
                written = file.write_all(chunk);
            }
            done += chunk.len() as u64;
            progress(done, total);
        })?;
        written.map_err(Error::io("write", &path))?;
        files.push(path);
    }
    Ok(files)
}

//! Whether builds give the same bytes in another folder.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use super::build::Folders;
use super::command::output;
use super::table::Product;
use crate::error::Error;

/// A copy of the repository, to be built. All folders have other names there, longer ones, and nothing
/// is there yet. The copy stays where a build fails or differs.
pub struct Copy {
    folder: PathBuf,
}

impl Copy {
    /// Copies what git knows or would take.
    pub fn new(folders: &Folders) -> Result<Self, Error> {
        let name = format!("llamafile-built-in-another-folder-{}", process::id());
        let copy = Self { folder: env::temp_dir().join(name) };
        println!("a copy, to compare: {}", copy.folder.display());
        let others = copy.folders();
        copy_sources(&folders.source, &others.source)?;
        symlink(&folders.cargo_home, &others.cargo_home)
            .map_err(Error::file("create", &others.cargo_home))?;
        Ok(copy)
    }

    /// Its folders.
    pub fn folders(&self) -> Folders {
        Folders {
            source: self.folder.join("a/copy/of/the/repository"),
            target: self.folder.join("another-target-folder"),
            cargo_home: self.folder.join("another-cargo-home"),
        }
    }

    /// Removes it.
    pub fn remove(self) -> Result<(), Error> {
        fs::remove_dir_all(&self.folder).map_err(Error::file("remove", &self.folder))
    }
}

/// Compares what was made here with what was made of the copy.
pub fn compare(here: &[Product], there: &[Product]) -> Result<(), Error> {
    for (first, second) in here.iter().zip(there) {
        if first.sha256 != second.sha256 {
            return Err(Error::Unreproducible {
                name: first.name.clone(),
                first: first.sha256.clone(),
                second: format!("{} in {}", second.sha256, second.path.display()),
            });
        }
        println!("{}: both builds are the same {} bytes", first.name, first.bytes);
    }
    Ok(())
}

/// Copies all files that git knows or would take.
fn copy_sources(from: &Path, to: &Path) -> Result<(), Error> {
    let list = output(
        Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(from),
    )?;
    for name in list.split_terminator('\0') {
        let (from, to) = (from.join(name), to.join(name));
        // Git also lists files that were removed but not yet committed.
        if !from.exists() {
            continue;
        }
        let folder = to.parent().unwrap_or(&to);
        fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
        fs::copy(&from, &to).map_err(Error::file("copy", &from))?;
    }
    Ok(())
}

//! Whether a build gives the same bytes in another folder.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{self, Command};

use super::build::{Folders, build};
use super::command::output;
use super::inspect::inspect;
use super::rust::Rust;
use super::table::Product;
use super::target::Target;
use super::zig::Zig;
use crate::error::Error;

/// Builds the target from a copy of the repository and compares. All folders have other names there,
/// longer ones, and nothing is there yet. The copy stays where it failed.
pub fn check(
    target: &'static Target,
    rust: &Rust,
    zig: &Zig,
    folders: &Folders,
    first: &[Product],
) -> Result<(), Error> {
    let copy = env::temp_dir().join(format!("llamafile-built-in-another-folder-{}", process::id()));
    let others = Folders {
        source: copy.join("a/copy/of/the/repository"),
        target: copy.join("another-target-folder"),
        cargo_home: copy.join("another-cargo-home"),
    };
    println!("{}: again in {}", target.name, copy.display());
    copy_sources(&folders.source, &others.source)?;
    fs::create_dir_all(&copy).map_err(Error::file("create", &copy))?;
    symlink(&folders.cargo_home, &others.cargo_home)
        .map_err(Error::file("create", &others.cargo_home))?;
    for (made, first) in build(target, rust, zig, &others)?.into_iter().zip(first) {
        inspect(target, &made.path)?;
        let second = Product::measure(made.name, &made.path)?;
        if first.sha256 != second.sha256 {
            return Err(Error::Unreproducible {
                name: second.name,
                first: first.sha256.clone(),
                second: format!("{} in {}", second.sha256, made.path.display()),
            });
        }
        println!("{}: both builds are the same {} bytes", first.name, first.bytes);
    }
    fs::remove_dir_all(&copy).map_err(Error::file("remove", &copy))
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

//! The Rust toolchain for a target: whichever this machine has or can get.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::{install_from_debian, output, succeeds};
use super::target::Target;
use crate::error::Error;

/// Which toolchains may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The one that runs this, else Debian's.
    Any,
    /// Debian's only.
    Debian,
}

/// A Rust toolchain that serves a target.
#[derive(Debug, Clone)]
pub struct Rust {
    /// Cargo.
    pub cargo: PathBuf,
    /// The compiler.
    pub rustc: PathBuf,
    /// Its folder.
    pub sysroot: PathBuf,
    /// Whether the standard library is compiled from its source.
    pub builds_std: bool,
    version: String,
    commit: String,
}

impl Rust {
    /// A toolchain that serves the target. Where it lacks parts, they are installed.
    pub fn for_target(target: &Target, choice: Choice) -> Result<Self, Error> {
        if choice == Choice::Any {
            let own = Self::own()?;
            let rustup = |args: [&str; 3]| succeeds(Command::new("rustup").args(args));
            if own.has_std(target)
                || rustup(["target", "add", target.triple]) && own.has_std(target)
            {
                return Ok(own);
            }
            if own.has_source() || rustup(["component", "add", "rust-src"]) && own.has_source() {
                return Ok(Self { builds_std: true, ..own });
            }
        }
        Self::debian()
    }

    /// The toolchain of the cargo that runs this.
    fn own() -> Result<Self, Error> {
        let cargo = PathBuf::from(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let beside = cargo.with_file_name("rustc");
        let rustc = if beside.exists() { beside } else { "rustc".into() };
        Self::new(cargo, rustc)
    }

    /// Debian's, whose versions for its browser are recent. It has standard libraries for Linux with
    /// glibc only.
    fn debian() -> Result<Self, Error> {
        let (cargo, rustc) = (Path::new("/usr/bin/cargo"), Path::new("/usr/bin/rustc"));
        let present = || {
            cargo.exists() && Self::new(cargo.into(), rustc.into()).is_ok_and(|r| r.has_source())
        };
        if !present() {
            install_from_debian(&["cargo-web", "rustc-web", "rust-web-src"])?;
        }
        Ok(Self { builds_std: true, ..Self::new(cargo.into(), rustc.into())? })
    }

    fn new(cargo: PathBuf, rustc: PathBuf) -> Result<Self, Error> {
        let sysroot = output(Command::new(&rustc).args(["--print", "sysroot"]))?;
        let verbose = output(Command::new(&rustc).arg("-vV"))?;
        let field = |name: &str| {
            let value = verbose.lines().find_map(|line| line.strip_prefix(name));
            value.unwrap_or_default().trim().to_owned()
        };
        Ok(Self {
            cargo,
            rustc,
            sysroot: sysroot.trim().into(),
            builds_std: false,
            version: field("release:"),
            commit: field("commit-hash:"),
        })
    }

    fn has_std(&self, target: &Target) -> bool {
        let libraries = self.sysroot.join("lib/rustlib").join(target.triple).join("lib");
        let files = fs::read_dir(libraries).into_iter().flatten().flatten();
        files.into_iter().any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
    }

    fn has_source(&self) -> bool {
        self.source().join("library/Cargo.lock").exists()
    }

    /// Folder of the standard library's source.
    fn source(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust")
    }

    /// Folders of the standard library's source, and the name that compiled standard libraries have
    /// for it.
    pub fn source_names(&self) -> (Vec<PathBuf>, String) {
        let mut folders = vec![self.source()];
        // Debian's is a link.
        folders.extend(fs::canonicalize(self.source()));
        (folders, format!("/rustc/{}", self.commit))
    }
}

impl fmt::Display for Rust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let std = if self.builds_std { "from source" } else { "compiled" };
        write!(f, "Rust {} in {}, standard library {std}", self.version, self.sysroot.display())
    }
}

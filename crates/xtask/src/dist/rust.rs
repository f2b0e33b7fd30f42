//! The Rust toolchain: whichever this machine has or can get.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::{install_from_debian, output, succeeds};
use crate::error::Error;

/// Which toolchains may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The one that runs this, else Debian's.
    Any,
    /// Debian's only.
    Debian,
}

/// A Rust toolchain with the source of its standard library.
#[derive(Debug, Clone)]
pub struct Rust {
    /// Cargo.
    pub cargo: PathBuf,
    /// The compiler.
    pub rustc: PathBuf,
    /// Its folder.
    pub sysroot: PathBuf,
    version: String,
    commit: String,
}

impl Rust {
    /// A toolchain with the standard library's source. Where parts are missing, they are installed.
    pub fn find(choice: Choice) -> Result<Self, Error> {
        if choice == Choice::Any {
            let own = Self::own()?;
            let mut rustup = Command::new("rustup");
            rustup.args(["component", "add", "rust-src"]);
            if own.has_source() || succeeds(&mut rustup) && own.has_source() {
                return Ok(own);
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

    /// Debian's, whose versions for its browser are recent.
    fn debian() -> Result<Self, Error> {
        let (cargo, rustc) = (Path::new("/usr/bin/cargo"), Path::new("/usr/bin/rustc"));
        let present = || {
            cargo.exists() && Self::new(cargo.into(), rustc.into()).is_ok_and(|r| r.has_source())
        };
        if !present() {
            install_from_debian(&["cargo-web", "rustc-web", "rust-web-src"])?;
        }
        Self::new(cargo.into(), rustc.into())
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
            version: field("release:"),
            commit: field("commit-hash:"),
        })
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
        write!(f, "Rust {} in {}", self.version, self.sysroot.display())
    }
}

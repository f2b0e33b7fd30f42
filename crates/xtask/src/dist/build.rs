//! The executables of one target.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::run;
use super::inspect::inspect;
use super::openbsd;
use super::rust::Rust;
use super::table::Product;
use super::target::{System, Target};
use super::zig::Zig;
use crate::error::Error;

/// The time that counts as that of the build, where SOURCE_DATE_EPOCH does not say otherwise: 1980,
/// the first that archives can hold.
const EPOCH: &str = "315532800";

/// The folders of builds. None of their names ends up in the executable.
#[derive(Debug, Clone)]
pub struct Folders {
    /// The repository, or a copy of it.
    pub source: PathBuf,
    /// For what cargo makes; each target has a folder of its own in it.
    pub target: PathBuf,
    /// Where cargo keeps what it fetched.
    pub cargo_home: PathBuf,
}

/// What is to be built.
#[derive(Debug, Clone)]
pub struct Build {
    /// The system and processor.
    pub target: &'static Target,
    /// The toolchain.
    pub rust: Rust,
    /// Where.
    pub folders: Folders,
}

impl Build {
    /// Builds the target's executables with the release profile, and inspects them.
    pub fn run(&self, zig: &Zig) -> Result<Vec<Product>, Error> {
        // Cargo locks the folder, and several run at once.
        let folder = self.folders.target.join("dist-build").join(self.target.name);
        run(&mut self.cargo(zig, &folder))?;
        let made = folder.join(self.target.triple).join("release");
        let programs = self.target.programs().iter();
        programs
            .map(|program| {
                let path = made.join(format!("{}{}", program.name(), self.target.extension()));
                if self.target.system == System::OpenBsd {
                    openbsd::exempt(&path)?;
                }
                let name = self.target.file_name(*program);
                println!("{name}: {}", inspect(self.target, &path)?);
                Product::measure(name, path)
            })
            .collect()
    }

    fn cargo(&self, zig: &Zig, folder: &Path) -> Command {
        let Self { target, rust, folders } = self;
        let mut cargo = Command::new(&rust.cargo);
        cargo
            .current_dir(&folders.source)
            .args(["build", "--release", "--locked", "--target", target.triple])
            .env("RUSTC", &rust.rustc)
            .env("CARGO_HOME", &folders.cargo_home)
            .env("CARGO_TARGET_DIR", folder)
            .env("CARGO_INCREMENTAL", "0")
            // Bars of several builds would overwrite each other.
            .env("CARGO_TERM_PROGRESS_WHEN", "never")
            .env("CARGO_ENCODED_RUSTFLAGS", rustflags(target, rust, folders).join("\u{1f}"))
            .env("SOURCE_DATE_EPOCH", env::var("SOURCE_DATE_EPOCH").unwrap_or(EPOCH.into()));
        for program in target.programs() {
            cargo.args(["--package", program.package(), "--bin", program.name()]);
        }
        if rust.builds_std {
            // Cargo's stable versions have this too, but want to be asked twice.
            cargo.args(["-Z", "build-std=std,panic_abort"]).env("RUSTC_BOOTSTRAP", "1");
        }
        if target.system == System::MacOs {
            // Rustc would strip after linking and so break the signature: the linker does it.
            cargo.env("CARGO_PROFILE_RELEASE_STRIP", "none");
            cargo.env("MACOSX_DEPLOYMENT_TARGET", "11.0");
        }
        zig.serve(&mut cargo, target);
        // Settings of the user, and of the cargo that runs this, are not for this build.
        for name in ["RUSTFLAGS", "CFLAGS", "CARGO_BUILD_TARGET"] {
            cargo.env_remove(name);
        }
        cargo
    }
}

/// Arguments for rustc, among them new names for all folders.
fn rustflags(target: &Target, rust: &Rust, folders: &Folders) -> Vec<String> {
    let mut flags: Vec<String> = target.rustflags.iter().map(|flag| flag.to_string()).collect();
    if target.system != System::Windows {
        // Nothing unwinds: panics abort. Windows asks for these tables anyway.
        flags.push("-Cforce-unwind-tables=no".to_owned());
    }
    if target.system == System::MacOs {
        flags.extend(["-Clink-arg=-Wl,-s", "-Clink-arg=-Wl,-x"].map(str::to_owned));
    }
    let mut rename =
        |from: &Path, to: &str| flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    // Of two that match a path, the later counts.
    rename(&folders.source, "/llamafile");
    rename(&folders.target, "/target");
    rename(&folders.cargo_home, "/cargo");
    let (sources, name) = rust.source_names();
    for source in sources {
        rename(&source, &name);
    }
    flags
}

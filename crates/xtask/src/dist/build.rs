//! An executable of one target.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::run;
use super::inspect::inspect;
use super::openbsd;
use super::rust::Rust;
use super::table::Product;
use super::target::{Program, System, Target};
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
    /// The executable.
    pub program: Program,
    /// The toolchain.
    pub rust: Rust,
    /// Where.
    pub folders: Folders,
}

impl Build {
    /// Builds the executable with the release profile, and inspects it.
    pub fn run(&self, zig: &Zig) -> Result<Product, Error> {
        let Self { target, program, .. } = self;
        let name = target.file_name(*program);
        // Cargo locks the folder, and several run at once.
        let folder = self.folders.target.join("dist-build").join(&name);
        run(&mut self.cargo(zig, &folder))?;
        let made = format!("{}/release/{}{}", target.triple, program.name(), target.extension());
        let path = folder.join(made);
        if target.system == System::OpenBsd {
            openbsd::exempt(&path)?;
        }
        println!("{name}: {}", inspect(target, &path)?);
        Product::measure(name, path)
    }

    fn cargo(&self, zig: &Zig, folder: &Path) -> Command {
        let Self { target, program, rust, folders } = self;
        let mut cargo = Command::new(&rust.cargo);
        cargo
            .current_dir(&folders.source)
            .args(["build", "--release", "--locked", "--target", target.triple])
            .args(["--package", program.package(), "--bin", program.name()])
            // The standard library is compiled along, without what prints backtraces, which needs
            // symbols. Cargo's stable versions can do this too, but want to be asked twice.
            .args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="])
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", &rust.rustc)
            .env("CARGO_HOME", &folders.cargo_home)
            .env("CARGO_TARGET_DIR", folder)
            .env("CARGO_INCREMENTAL", "0")
            // Bars of several builds would overwrite each other.
            .env("CARGO_TERM_PROGRESS_WHEN", "never")
            .env("CARGO_ENCODED_RUSTFLAGS", self.rustflags().join("\u{1f}"))
            .env("SOURCE_DATE_EPOCH", env::var("SOURCE_DATE_EPOCH").unwrap_or(EPOCH.into()));
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

    /// Arguments for rustc, among them new names for all folders.
    fn rustflags(&self) -> Vec<String> {
        let Self { target, program, rust, folders } = self;
        let mut flags: Vec<String> = target.rustflags.iter().map(|flag| flag.to_string()).collect();
        if target.system != System::Windows {
            // Nothing unwinds: panics abort. Windows asks for these tables anyway.
            flags.push("-Cforce-unwind-tables=no".to_owned());
        }
        if *program == Program::Unpacker {
            // What prints panics would be most of it.
            flags.extend(["-Zunstable-options", "-Cpanic=immediate-abort"].map(str::to_owned));
        }
        if target.system == System::MacOs {
            flags.extend(["-Clink-arg=-Wl,-s", "-Clink-arg=-Wl,-x"].map(str::to_owned));
        }
        let mut rename = |from: &Path, to: &str| {
            flags.push(format!("--remap-path-prefix={}={to}", from.display()))
        };
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
}

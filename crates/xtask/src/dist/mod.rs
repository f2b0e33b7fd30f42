//! `cargo xtask dist`: executables for every system, from one Linux machine.

mod build;
mod command;
mod inspect;
mod openbsd;
mod parallel;
mod reproduce;
mod rust;
mod table;
mod target;
mod zig;

use std::env;
use std::fs;
use std::path::PathBuf;

use build::{Build, Folders};
use reproduce::Copy;
use rust::{Choice, Rust};
use target::{TARGETS, Target};
use zig::Zig;

use crate::error::Error;

/// How it is called.
pub const USAGE: &str = "\
cargo xtask dist [--target NAME]... [--out DIR] [--check-reproducible] [--debian]

Makes executables of llamafile for every system, or for those that are named, several at once.

  --target NAME         linux-x86_64, linux-glibc-x86_64, linux-aarch64, windows-x86_64,
                        macos-aarch64, macos-x86_64, freebsd-x86_64, netbsd-x86_64, openbsd-x86_64
  --out DIR             folder for llamafile-NAME and unpack-NAME, which portable files take;
                        by default dist in cargo's target folder
  --check-reproducible  build a copy of the repository in another folder too, and compare
  --debian              with Debian's Rust, even where rustup's is there
";

/// Makes what the arguments ask for.
pub fn run(args: &[String]) -> Result<(), Error> {
    let Some(options) = Options::parse(args)? else {
        print!("{USAGE}");
        return Ok(());
    };
    let folders = folders();
    let tools = folders.target.join("dist-tools");
    let out = options.out.unwrap_or_else(|| folders.target.join("dist"));
    for folder in [&tools, &out] {
        fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
    }
    let zig = Zig::install(&tools)?;
    let rust = Rust::find(options.choice)?;
    println!("{rust}");
    let mut builds = Vec::new();
    for &target in &options.targets {
        for &program in target.programs() {
            let (rust, folders) = (rust.clone(), folders.clone());
            builds.push(Build { target, program, rust, folders });
        }
    }
    let programs = builds.len();
    let copy = options.check_reproducible.then(|| Copy::new(&folders)).transpose()?;
    if let Some(copy) = &copy {
        let here = builds.clone();
        builds.extend(here.into_iter().map(|build| Build { folders: copy.folders(), ..build }));
    }

    let made = parallel::map(&builds, |build| build.run(&zig))?;
    let (products, again) = made.split_at(programs);
    for product in products {
        let path = out.join(&product.name);
        fs::copy(&product.path, &path).map_err(Error::file("copy", &product.path))?;
    }
    if let Some(copy) = copy {
        reproduce::compare(products, again)?;
        copy.remove()?;
    }
    table::print(products);
    Ok(())
}

/// The arguments.
struct Options {
    targets: Vec<&'static Target>,
    out: Option<PathBuf>,
    check_reproducible: bool,
    choice: Choice,
}

impl Options {
    /// `None` where only help is wanted.
    fn parse(args: &[String]) -> Result<Option<Self>, Error> {
        let mut options =
            Self { targets: Vec::new(), out: None, check_reproducible: false, choice: Choice::Any };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || {
                args.next().ok_or_else(|| Error::Usage(format!("{arg} needs a value\n\n{USAGE}")))
            };
            match arg.as_str() {
                "--target" => {
                    let name = value()?;
                    options.targets.push(Target::named(name).ok_or_else(|| {
                        Error::Usage(format!("no target is called {name}\n\n{USAGE}"))
                    })?);
                }
                "--out" => options.out = Some(value()?.into()),
                "--check-reproducible" => options.check_reproducible = true,
                "--debian" => options.choice = Choice::Debian,
                "--help" | "-h" => return Ok(None),
                _ => return Err(Error::Usage(format!("unknown argument {arg}\n\n{USAGE}"))),
            }
        }
        if options.targets.is_empty() {
            options.targets.extend(TARGETS);
        }
        Ok(Some(options))
    }
}

/// The folders that cargo uses here.
fn folders() -> Folders {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    let manifest = PathBuf::from(manifest);
    let source = manifest.ancestors().nth(2).unwrap_or(&manifest).to_owned();
    let target = env::var_os("CARGO_TARGET_DIR").map_or(source.join("target"), PathBuf::from);
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = || env::home_dir().unwrap_or_default().join(".cargo");
    Folders { source, target, cargo_home: cargo_home.unwrap_or_else(home) }
}

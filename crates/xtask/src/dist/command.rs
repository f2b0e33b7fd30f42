//! Running other programs.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::error::Error;

/// Runs a program that shows its own messages.
pub fn run(command: &mut Command) -> Result<(), Error> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failure(command, status)),
        Err(error) => Err(failure(command, error)),
    }
}

/// The standard output of a program.
pub fn output(command: &mut Command) -> Result<String, Error> {
    match command.stderr(Stdio::inherit()).output() {
        Ok(Output { status, stdout, .. }) if status.success() => {
            String::from_utf8(stdout).map_err(|error| failure(command, error))
        }
        Ok(Output { status, .. }) => Err(failure(command, status)),
        Err(error) => Err(failure(command, error)),
    }
}

/// Whether a program is there and succeeds; its messages are dropped.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// Installs Debian's packages; only as root on Debian, elsewhere an error names them.
pub fn install_from_debian(packages: &[&str]) -> Result<(), Error> {
    let list = packages.join(" ");
    let is_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root || !Path::new("/usr/bin/apt-get").exists() {
        return Err(Error::Missing(format!("what Debian calls {list}")));
    }
    println!("installing {list}");
    run(Command::new("apt-get").args(["update", "-q"]))?;
    run(Command::new("apt-get")
        .args(["install", "-qy", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive"))
}

fn failure(command: &Command, outcome: impl ToString) -> Error {
    let words = [command.get_program()].into_iter().chain(command.get_args().take(2));
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    Error::Program { program: words.join(" "), outcome: outcome.to_string() }
}

//! Whether an executable is what its system starts, told by a parser that had no part in making it.

mod elf;
mod macho;
mod pe;
mod signature;

use std::fs;
use std::path::Path;

use super::target::{System, Target};
use crate::error::Error;

/// Libraries that every installation of a system has.
fn is_part_of(system: System, library: &str) -> bool {
    match system {
        System::LinuxStatic => false,
        System::LinuxGlibc => matches!(
            library,
            "libc.so.6"
                | "libm.so.6"
                | "libpthread.so.0"
                | "libdl.so.2"
                | "librt.so.1"
                | "libutil.so.1"
                | "ld-linux-x86-64.so.2"
        ),
        System::Windows => {
            let library = library.to_ascii_lowercase();
            library.starts_with("api-ms-win-crt-")
                || matches!(
                    library.as_str(),
                    "kernel32.dll"
                        | "ntdll.dll"
                        | "user32.dll"
                        | "ws2_32.dll"
                        | "advapi32.dll"
                        | "bcrypt.dll"
                        | "bcryptprimitives.dll"
                        | "api-ms-win-core-synch-l1-2-0.dll"
                )
        }
        System::MacOs => library == "/usr/lib/libSystem.B.dylib",
        System::FreeBsd | System::NetBsd | System::OpenBsd => {
            let name = library.split(".so").next().unwrap_or(library);
            matches!(
                name,
                "libc" | "libm" | "libpthread" | "libthr" | "librt" | "libutil" | "libexecinfo"
            )
        }
    }
}

/// What was found.
pub struct Findings {
    /// Libraries that the system has to provide.
    pub libraries: Vec<String>,
    /// In words, what else matters: oldest version of the system, signature.
    pub notes: Vec<String>,
}

/// Checks an executable; says what it needs, in words.
pub fn inspect(target: &Target, path: &Path) -> Result<String, Error> {
    let bytes = fs::read(path).map_err(Error::file("read", path))?;
    let findings = match target.system {
        System::Windows => pe::inspect(&bytes),
        System::MacOs => macho::inspect(&bytes),
        system => elf::inspect(&bytes, system),
    };
    let checked = findings.and_then(|findings| {
        match findings.libraries.iter().find(|library| !is_part_of(target.system, library)) {
            Some(library) => Err(format!("needs {library}, which not every system has")),
            None => Ok(findings),
        }
    });
    let findings = checked.map_err(|reason| Error::Executable { path: path.to_owned(), reason })?;
    let libraries = match findings.libraries.len() {
        0 => "no libraries".to_owned(),
        1 => findings.libraries[0].clone(),
        n => format!("{n} libraries"),
    };
    Ok(format!("{}; needs {libraries}", findings.notes.join(", ")))
}

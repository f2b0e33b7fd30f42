//! Executables of Windows.

use std::collections::BTreeSet;

use object::Object;
use object::pe::IMAGE_SUBSYSTEM_WINDOWS_CUI;
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, PeFile64};

use super::Findings;

/// Checks the file.
pub fn inspect(bytes: &[u8]) -> Result<Findings, String> {
    let file = PeFile64::parse(bytes).map_err(|error| error.to_string())?;
    let header = file.nt_headers();
    let optional = header.optional_header();
    let subsystem = optional.subsystem();
    if subsystem != IMAGE_SUBSYSTEM_WINDOWS_CUI {
        return Err(format!("has subsystem {subsystem}, expected that of the console"));
    }
    let (major, minor) = (optional.major_subsystem_version(), optional.minor_subsystem_version());
    let mut libraries = BTreeSet::new();
    for import in file.imports().map_err(|error| error.to_string())? {
        libraries.insert(import.map_err(|error| error.to_string())?.library());
    }
    let text = |library: &[u8]| String::from_utf8_lossy(library).into_owned();
    Ok(Findings {
        libraries: libraries.into_iter().map(text).collect(),
        notes: vec![format!("console program, subsystem {major}.{minor}")],
    })
}

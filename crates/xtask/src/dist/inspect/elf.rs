//! Executables of Linux and the BSDs.

use object::Endianness;
use object::elf::{self, FileHeader64, NoteType};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

use super::{Findings, System};
use crate::dist::openbsd::PT_OPENBSD_NOBTCFI;

/// The newest version of glibc that a function may need.
const GLIBC: [u32; 2] = [2, 17];

/// Kind of a note with the version of a system.
const ABI_TAG: NoteType = NoteType(1);

type Header = FileHeader64<Endianness>;

/// Checks the file for a system.
pub fn inspect(bytes: &[u8], system: System) -> Result<Findings, String> {
    parse(bytes).map_err(|error| error.to_string())?.judge(system)
}

/// What the file says.
#[derive(Default)]
struct Facts {
    interpreter: Option<String>,
    is_dynamic: bool,
    libraries: Vec<String>,
    /// Names of the versions of functions.
    versions: Vec<String>,
    /// Names of systems and their versions in notes, which start files of the BSDs carry.
    notes: Vec<(String, u32)>,
    /// Whether OpenBSD lets it jump to places that are not marked.
    is_exempt: bool,
}

fn parse(bytes: &[u8]) -> object::Result<Facts> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let header = Header::parse(bytes)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, bytes)?;
    let has = |kind| segments.iter().any(|segment| segment.p_type(endian) == kind);
    let mut facts = Facts {
        is_dynamic: has(elf::PT_DYNAMIC),
        is_exempt: has(PT_OPENBSD_NOBTCFI),
        ..Facts::default()
    };
    for segment in segments {
        if let Some(interpreter) = segment.interpreter(endian, bytes)? {
            facts.interpreter = Some(text(interpreter));
        }
    }
    let sections = header.sections(endian, bytes)?;
    if let Some((dynamic, link)) = sections.dynamic(endian, bytes)? {
        let strings = sections.strings(endian, bytes, link)?;
        for entry in dynamic.iter().filter(|entry| entry.d_tag.get(endian) == elf::DT_NEEDED) {
            let name = strings.get(entry.d_val.get(endian) as u32);
            facts.libraries.push(text(name.unwrap_or_default()));
        }
    }
    if let Some((mut needs, link)) = sections.gnu_verneed(endian, bytes)? {
        let strings = sections.strings(endian, bytes, link)?;
        while let Some((_, mut versions)) = needs.next()? {
            while let Some(version) = versions.next()? {
                facts.versions.push(text(version.name(endian, strings)?));
            }
        }
    }
    for section in sections.iter() {
        let Some(mut notes) = section.notes(endian, bytes)? else { continue };
        while let Some(note) = notes.next()? {
            if let (ABI_TAG, Some(version)) = (note.n_type(endian), note.desc().first_chunk()) {
                facts.notes.push((text(note.name()), u32::from_le_bytes(*version)));
            }
        }
    }
    Ok(facts)
}

impl Facts {
    fn judge(self, system: System) -> Result<Findings, String> {
        let mut notes = Vec::new();
        match system {
            System::LinuxStatic => {
                if self.is_dynamic || self.interpreter.is_some() {
                    return Err("is not static".into());
                }
                notes.push("static".into());
            }
            System::LinuxGlibc => {
                let newest = self.newest_glibc()?;
                if newest > GLIBC {
                    return Err(format!("needs glibc {newest:?}, newer than {GLIBC:?}"));
                }
                notes.push(format!("glibc {}.{}", newest[0], newest[1]));
            }
            System::FreeBsd => notes.push(self.version_of("FreeBSD")?),
            System::NetBsd => notes.push(self.version_of("NetBSD")?),
            System::OpenBsd => {
                notes.push(self.version_of("OpenBSD")?);
                if !self.is_exempt {
                    return Err("would be ended at its first indirect jump".into());
                }
            }
            System::Windows | System::MacOs => return Err("is an ELF file".into()),
        }
        Ok(Findings { libraries: self.libraries, notes })
    }

    /// The version in the note that names the system, as the system counts.
    fn version_of(&self, system: &str) -> Result<String, String> {
        let note = self.notes.iter().find(|(name, _)| name == system);
        let (_, version) = note.ok_or_else(|| format!("has no note that says {system}"))?;
        Ok(format!("{system} {version}"))
    }

    /// The newest version of glibc that a function needs.
    fn newest_glibc(&self) -> Result<[u32; 2], String> {
        let mut newest = [0, 0];
        for name in &self.versions {
            let Some(version) = name.strip_prefix("GLIBC_") else { continue };
            let mut parts = version.split('.').map(str::parse);
            let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
                return Err(format!("needs {name}"));
            };
            newest = newest.max([major, minor]);
        }
        Ok(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glibc_may_be_as_new_as_2_17() {
        let needing = |version: &str| {
            let versions = ["GLIBC_2.2.5", version, "GLIBC_2.9", "GCC_3.0"].map(str::to_owned);
            let facts = Facts { is_dynamic: true, versions: versions.into(), ..Facts::default() };
            facts.judge(System::LinuxGlibc).map(|findings| findings.notes)
        };
        assert_eq!(needing("GLIBC_2.17"), Ok(vec!["glibc 2.17".to_owned()]));
        assert!(needing("GLIBC_2.18").is_err());
        assert!(needing("GLIBC_3.0").is_err());
        assert!(needing("GLIBC_PRIVATE").is_err());
    }

    #[test]
    fn static_means_that_nothing_is_loaded() {
        let judge = |facts: Facts| facts.judge(System::LinuxStatic).is_ok();
        assert!(judge(Facts::default()));
        assert!(!judge(Facts { is_dynamic: true, ..Facts::default() }));
        assert!(!judge(Facts { interpreter: Some("/lib/ld.so".into()), ..Facts::default() }));
    }
}

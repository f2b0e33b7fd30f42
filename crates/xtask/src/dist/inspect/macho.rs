//! Executables of macOS.

use object::read::macho::{LoadCommandVariant, MachHeader};
use object::{Endianness, macho};

use super::{Findings, signature};

/// The oldest system that has to start it, as load commands write it: 11.0.
const OLDEST: u32 = 11 << 16;

type Header = macho::MachHeader64<Endianness>;

/// Checks the file.
pub fn inspect(bytes: &[u8]) -> Result<Findings, String> {
    let facts = parse(bytes).map_err(|error| error.to_string())?;
    let oldest = facts.oldest_system.ok_or("does not say which macOS it is for")?;
    let text = format!("macOS {}.{}", oldest >> 16, oldest >> 8 & 0xff);
    if oldest > OLDEST {
        return Err(format!("is for {text} and newer, expected {}.0", OLDEST >> 16));
    }
    let signed = match facts.signature {
        Some((offset, size)) => {
            let identifier = signature::check(bytes, offset as usize, size as usize)?;
            format!("signed ad hoc as {identifier}")
        }
        None if facts.is_arm => return Err("is not signed, expected an ad-hoc signature".into()),
        None => "not signed".to_owned(),
    };
    Ok(Findings { libraries: facts.libraries, notes: vec![text, signed] })
}

/// What the load commands say.
#[derive(Default)]
struct Facts {
    /// Whether it is for Apple's processors, which start nothing that is not signed.
    is_arm: bool,
    libraries: Vec<String>,
    oldest_system: Option<u32>,
    /// Where the signature is, and its size.
    signature: Option<(u32, u32)>,
}

fn parse(bytes: &[u8]) -> object::Result<Facts> {
    let header = Header::parse(bytes, 0)?;
    let endian = header.endian()?;
    let is_arm = header.cputype(endian) == macho::CPU_TYPE_ARM64;
    let mut facts = Facts { is_arm, ..Facts::default() };
    let mut commands = header.load_commands(endian, bytes, 0)?;
    while let Some(command) = commands.next()? {
        match command.variant()? {
            LoadCommandVariant::Dylib(library) => {
                let name = command.string(endian, library.dylib.name)?;
                facts.libraries.push(String::from_utf8_lossy(name).into_owned());
            }
            LoadCommandVariant::BuildVersion(version, _) => {
                facts.oldest_system = Some(version.minos.get(endian).0);
            }
            LoadCommandVariant::LinkeditData(data) if command.cmd() == macho::LC_CODE_SIGNATURE => {
                facts.signature = Some((data.dataoff.get(endian), data.datasize.get(endian)));
            }
            _ => {}
        }
    }
    Ok(facts)
}

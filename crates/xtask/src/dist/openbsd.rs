//! OpenBSD ends programs whose indirect jumps lead to places that are not marked as targets, unless
//! a program header exempts them: Rust's standard library has no such marks.
//!
//! Linkers write that header when they are given `-z nobtcfi`, which Zig's refuses. It takes the
//! place of the header about the stack, which OpenBSD does not read.

use std::fs;
use std::path::Path;

use object::Endianness;
use object::elf::{FileHeader64, PT_GNU_STACK, ProgramHeader64, ProgramType};
use object::read::elf::{FileHeader, ProgramHeader};

use crate::error::Error;

/// Kind of the header that exempts (`sys/exec_elf.h`).
pub const PT_OPENBSD_NOBTCFI: ProgramType = ProgramType(0x65a3_dbe8);
/// Its flags, as linkers write them.
const PF_X: u32 = 1;

/// Gives an executable the header.
pub fn exempt(path: &Path) -> Result<(), Error> {
    let mut file = fs::read(path).map_err(Error::file("read", path))?;
    let place = place(&file)
        .map_err(|error| error.to_string())
        .and_then(|place| place.ok_or("has no program header about the stack".into()))
        .map_err(|reason| Error::Executable { path: path.to_owned(), reason })?;
    let header = &mut file[place..place + size_of::<ProgramHeader64<Endianness>>()];
    header.fill(0);
    header[..4].copy_from_slice(&PT_OPENBSD_NOBTCFI.0.to_le_bytes());
    header[4..8].copy_from_slice(&PF_X.to_le_bytes());
    fs::write(path, file).map_err(Error::file("write", path))
}

/// Where the header is whose place it takes; its own where a former build has made it.
fn place(file: &[u8]) -> object::Result<Option<usize>> {
    let header = FileHeader64::<Endianness>::parse(file)?;
    let endian = header.endian()?;
    let first = header.e_phoff(endian) as usize;
    let kinds = [PT_GNU_STACK, PT_OPENBSD_NOBTCFI];
    let mut headers = header.program_headers(endian, file)?.iter();
    let index = headers.position(|header| kinds.contains(&header.p_type(endian)));
    Ok(index.map(|index| first + index * size_of::<ProgramHeader64<Endianness>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file of headers alone, with program headers of these kinds.
    fn elf(kinds: &[ProgramType]) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[32] = 64; // e_phoff
        file[54] = 56; // e_phentsize
        file[56] = kinds.len() as u8; // e_phnum
        for kind in kinds {
            file.extend(kind.0.to_le_bytes());
            file.resize(file.len() + 52, 0xaa);
        }
        file
    }

    #[test]
    fn the_header_about_the_stack_gives_way() {
        let load = ProgramType(1);
        assert_eq!(place(&elf(&[load, PT_GNU_STACK])).unwrap(), Some(64 + 56));
        assert_eq!(place(&elf(&[PT_OPENBSD_NOBTCFI, load])).unwrap(), Some(64));
        assert_eq!(place(&elf(&[load])).unwrap(), None);
        assert!(place(b"MZ").is_err());
    }
}

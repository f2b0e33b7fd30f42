//! Native executables: what system they are for, and where they end.

use crate::target::{Arch, Os, Target};
use crate::{elf, macho, pe};

/// As much of a file's front as [`inspect`] needs.
pub const FRONT: u64 = 64 << 10;

/// What an executable says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// System that it is for.
    pub target: Target,
    /// Bytes from the start of the file to the end of what belongs to the executable.
    pub len: u64,
}

impl Image {
    pub(crate) fn new(os: Os, arch: Arch, len: u64) -> Self {
        Self { target: Target { os, arch }, len }
    }
}

/// Reads the headers of an executable from the front of a file; the error says what is wrong.
pub fn inspect(front: &[u8]) -> Result<Image, &'static str> {
    match front {
        [0x7f, b'E', b'L', b'F', ..] => elf::inspect(front),
        [b'M', b'Z', ..] => pe::inspect(front),
        [0xcf, 0xfa, 0xed, 0xfe, ..] => macho::inspect(front),
        _ => Err("it is no executable in the ELF, Mach-O or PE format for 64 bits"),
    }
}

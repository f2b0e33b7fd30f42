//! ELF executables of Linux and FreeBSD (System V ABI, chapters 4 and 5).

use crate::bytes::View;
use crate::image::Image;
use crate::target::{Arch, Os};

const CLASS64_LITTLE: [u8; 2] = [2, 1];
const OSABI_FREEBSD: u8 = 9;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;

/// Reads the headers at the front of an ELF file.
pub fn inspect(front: &[u8]) -> Result<Image, &'static str> {
    if front.get(4..6) != Some(&CLASS64_LITTLE) {
        return Err("it is no little-endian ELF file for 64 bits");
    }
    let view = View(front);
    let os = if front.get(7) == Some(&OSABI_FREEBSD) { Os::FreeBsd } else { Os::Linux };
    let arch = match view.u16(18) {
        Some(EM_X86_64) => Arch::X86_64,
        Some(EM_AARCH64) => Arch::Aarch64,
        _ => return Err("it is for another processor"),
    };
    let len = end(view).ok_or("its ELF headers are damaged")?;
    Ok(Image::new(os, arch, len))
}

/// The end of the last segment or of the section headers, whichever comes later. Sections are
/// written before their headers.
fn end(view: View<'_>) -> Option<u64> {
    let (segments, sections) = (view.u64(32)?, view.u64(40)?);
    let (segment_len, segment_count) = (view.u16(54)?, view.u16(56)?);
    let (section_len, section_count) = (view.u16(58)?, view.u16(60)?);
    let mut end = sections.checked_add(u64::from(section_len) * u64::from(section_count))?;
    for index in 0..u64::from(segment_count) {
        let at = segments.checked_add(index * u64::from(segment_len))?;
        let offset = view.u64(at.checked_add(8)?)?;
        end = end.max(offset.checked_add(view.u64(at.checked_add(32)?)?)?);
    }
    Some(end)
}

//! ELF executables of Linux and the BSDs (System V ABI, chapters 4 and 5).

use crate::bytes::View;
use crate::image::Image;
use crate::target::{Arch, Os};

const CLASS64_LITTLE: [u8; 2] = [2, 1];
const PT_NOTE: u32 = 4;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;

/// Reads the headers at the front of an ELF file.
pub fn inspect(front: &[u8]) -> Result<Image, &'static str> {
    if front.get(4..6) != Some(&CLASS64_LITTLE) {
        return Err("it is no little-endian ELF file for 64 bits");
    }
    let view = View(front);
    let arch = match view.u16(18) {
        Some(EM_X86_64) => Arch::X86_64,
        Some(EM_AARCH64) => Arch::Aarch64,
        _ => return Err("it is for another processor"),
    };
    let segments = segments(view).ok_or("its ELF headers are damaged")?;
    let len = end(view, &segments).ok_or("its ELF headers are damaged")?;
    Ok(Image::new(system(view, &segments), arch, len))
}

/// A part of the file that is mapped or read at the start.
struct Segment {
    kind: u32,
    offset: u64,
    len: u64,
}

fn segments(view: View<'_>) -> Option<Vec<Segment>> {
    let (first, len, count) = (view.u64(32)?, view.u16(54)?, view.u16(56)?);
    let segment = |index: u64| {
        let at = first.checked_add(index * u64::from(len))?;
        let field = |offset| view.u64(at.checked_add(offset)?);
        Some(Segment { kind: view.u32(at)?, offset: field(8)?, len: field(32)? })
    };
    (0..u64::from(count)).map(segment).collect()
}

/// The BSDs name themselves as the owner of a note, by which their kernels know them; Linux need
/// not.
fn system(view: View<'_>, segments: &[Segment]) -> Os {
    let owner = |segment: &Segment| view.bytes(segment.offset.checked_add(12)?, 8);
    let notes = segments.iter().filter(|segment| segment.kind == PT_NOTE).filter_map(owner);
    let system = |owner: &[u8]| match owner {
        b"FreeBSD\0" => Some(Os::FreeBsd),
        b"NetBSD\0\0" => Some(Os::NetBsd),
        b"OpenBSD\0" => Some(Os::OpenBsd),
        _ => None,
    };
    notes.filter_map(system).next().unwrap_or(Os::Linux)
}

/// The end of the last segment or of the section headers, whichever comes later. Sections are
/// written before their headers.
fn end(view: View<'_>, segments: &[Segment]) -> Option<u64> {
    let (sections, len, count) = (view.u64(40)?, view.u16(58)?, view.u16(60)?);
    let mut end = sections.checked_add(u64::from(len) * u64::from(count))?;
    for segment in segments {
        end = end.max(segment.offset.checked_add(segment.len)?);
    }
    Some(end)
}

//! Mach-O executables of macOS (Apple's `mach-o/loader.h`), and where their [`signature`] is.

use crate::bytes::{View, put_u32, put_u64};
use crate::image::Image;
use crate::signature;
use crate::target::{Arch, Os};

const CPU_X86_64: u32 = 0x0100_0007;
const CPU_ARM64: u32 = 0x0100_000c;
const EXECUTE: u32 = 2;
const SEGMENT: u32 = 0x19;
const CODE_SIGNATURE: u32 = 0x1d;
const HEADER: u64 = 32;
/// Bytes of a segment's load command before its sections, and of each section.
const SEGMENT_COMMAND: u64 = 72;
const SECTION: u64 = 80;
/// Bytes of the load command that says where the signature is.
const SIGNATURE_COMMAND: u64 = 16;
/// Pages of Apple's processors; segments are whole pages in memory.
const PAGE: u64 = 0x4000;

const DAMAGED: &str = "its Mach-O headers are damaged";

/// Reads the headers at the front of a Mach-O file.
pub fn inspect(front: &[u8]) -> Result<Image, &'static str> {
    let view = View(front);
    let arch = match view.u32(4) {
        Some(CPU_X86_64) => Arch::X86_64,
        Some(CPU_ARM64) => Arch::Aarch64,
        _ => return Err("it is for another processor"),
    };
    if view.u32(12) != Some(EXECUTE) {
        return Err("it is a Mach-O file, but no executable");
    }
    let mut len = 0;
    for (kind, at) in commands(view).ok_or(DAMAGED)? {
        if kind == SEGMENT {
            let end = || view.u64(at + 40)?.checked_add(view.u64(at + 48)?);
            len = len.max(end().ok_or(DAMAGED)?);
        }
    }
    Ok(Image::new(Os::Macos, arch, len))
}

/// Proves that the signature of an executable holds; the error says why it does not. `None` is one
/// without a signature.
pub fn check_signature(exe: &[u8]) -> Option<Result<(), &'static str>> {
    let view = View(exe);
    let Some(commands) = commands(view) else { return Some(Err(DAMAGED)) };
    let (_, at) = commands.into_iter().find(|(kind, _)| *kind == CODE_SIGNATURE)?;
    let holds = || {
        let offset = u64::from(view.u32(at + 8)?);
        let signature = view.bytes(offset, u64::from(view.u32(at + 12)?))?;
        signature::holds(exe, offset, signature)
    };
    Some(match holds() {
        Some(true) => Ok(()),
        Some(false) => Err("it was changed after it was signed; sign it again"),
        None => Err("its signature is damaged or of an unknown kind"),
    })
}

/// Signs an executable that has no signature, ad hoc.
///
/// The signature becomes the end of the last segment, `__LINKEDIT`, and a load command says so, for
/// which linkers leave room.
pub fn sign(exe: &mut Vec<u8>) -> Result<(), &'static str> {
    let view = View(exe);
    let end = HEADER + u64::from(view.u32(20).ok_or(DAMAGED)?);
    let segments: Vec<u64> = commands(view)
        .ok_or(DAMAGED)?
        .into_iter()
        .filter_map(|(kind, at)| (kind == SEGMENT).then_some(at))
        .collect();
    let named = |name: &[u8; 16]| {
        let found = segments.iter().find(|at| view.bytes(**at + 8, 16) == Some(name));
        found.copied().ok_or("it has no __TEXT or no __LINKEDIT segment")
    };
    let text = named(b"__TEXT\0\0\0\0\0\0\0\0\0\0")?;
    let linkedit = named(b"__LINKEDIT\0\0\0\0\0\0")?;
    let field = |at: u64| view.u64(at).ok_or(DAMAGED);
    let main = field(text + 40)?..field(text + 40)?.saturating_add(field(text + 48)?);
    let start = field(linkedit + 40)?;
    if start.checked_add(field(linkedit + 48)?) != Some(exe.len() as u64) {
        return Err("its __LINKEDIT segment is not at its end");
    }
    let room = contents(view, &segments).ok_or(DAMAGED)?;
    if room.is_none_or(|first| first < end + SIGNATURE_COMMAND) {
        return Err("its headers have no room for a signature; sign it ad hoc");
    }
    let offset = (exe.len() as u64).next_multiple_of(16);
    let len = signature::len(offset);
    let segment = (offset + len).saturating_sub(start);
    let (count, memory) = (view.u32(16).ok_or(DAMAGED)?, field(linkedit + 32)?);
    let too_large = "it is too large to be signed";
    let narrow = |value: u64| u32::try_from(value).map_err(|_| too_large);
    let fields = [CODE_SIGNATURE, SIGNATURE_COMMAND as u32, narrow(offset)?, narrow(len)?];
    exe.resize(offset as usize, 0);
    let mut write = || {
        put_u32(exe, 16, count + 1)?;
        put_u32(exe, 20, (end + SIGNATURE_COMMAND - HEADER) as u32)?;
        for (at, value) in (end..).step_by(4).zip(fields) {
            put_u32(exe, at, value)?;
        }
        put_u64(exe, linkedit + 32, memory.max(segment.next_multiple_of(PAGE)))?;
        put_u64(exe, linkedit + 48, segment)
    };
    write().ok_or(DAMAGED)?;
    let signature = signature::of(exe, main);
    exe.extend_from_slice(&signature);
    Ok(())
}

/// Where the contents of the sections begin in the file; `Some(None)` if there are none.
fn contents(view: View<'_>, segments: &[u64]) -> Option<Option<u64>> {
    let mut first = None;
    for at in segments {
        for index in 0..u64::from(view.u32(at + 64)?) {
            let section = at + SEGMENT_COMMAND + index * SECTION;
            let offset = u64::from(view.u32(section + 48)?);
            if offset != 0 {
                first = Some(first.map_or(offset, |first: u64| first.min(offset)));
            }
        }
    }
    Some(first)
}

/// Kinds and offsets of the load commands.
fn commands(view: View<'_>) -> Option<Vec<(u32, u64)>> {
    let count = view.u32(16)?;
    let end = HEADER + u64::from(view.u32(20)?);
    let mut commands = Vec::new();
    let mut at = HEADER;
    for _ in 0..count {
        let (kind, len) = (view.u32(at)?, view.u32(at + 4)?);
        if len < 8 || at + u64::from(len) > end {
            return None;
        }
        commands.push((kind, at));
        at += u64::from(len);
    }
    Some(commands)
}

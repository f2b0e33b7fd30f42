//! Mach-O executables of macOS, and their signatures (Apple's `mach-o/loader.h` and
//! `kern/cs_blobs.h`).
//!
//! Apple's processors run nothing unsigned. Linkers sign ad hoc: the signature lists the SHA-256 of
//! each page of the executable, and needs no key. It covers the executable and not what follows it
//! in the file, so that the same signature holds for the executable with a model behind it.

use sha2::{Digest, Sha256};

use crate::bytes::View;
use crate::image::Image;
use crate::target::{Arch, Os};

const CPU_X86_64: u32 = 0x0100_0007;
const CPU_ARM64: u32 = 0x0100_000c;
const EXECUTE: u32 = 2;
const SEGMENT: u32 = 0x19;
const CODE_SIGNATURE: u32 = 0x1d;
const HEADER: u64 = 32;

const SUPER_BLOB: u32 = 0xfade_0cc0;
const CODE_DIRECTORY: u32 = 0xfade_0c02;
const CODE_DIRECTORY_SLOT: u32 = 0;
const SHA256: u8 = 2;
/// Most parts of a signature that are looked at; signatures have less than ten.
const MAX_SLOTS: u64 = 64;

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
    let damaged = "its Mach-O headers are damaged";
    let mut len = 0;
    for (kind, at) in commands(view).ok_or(damaged)? {
        if kind == SEGMENT {
            let end = || view.u64(at + 40)?.checked_add(view.u64(at + 48)?);
            len = len.max(end().ok_or(damaged)?);
        }
    }
    Ok(Image::new(Os::Macos, arch, len))
}

/// Proves that the signature of an executable holds; the error says why it does not.
///
/// There may be none for Intel processors, which run unsigned executables.
pub fn check_signature(exe: &[u8]) -> Result<(), &'static str> {
    let view = View(exe);
    let damaged = "its Mach-O headers are damaged";
    let commands = commands(view).ok_or(damaged)?;
    let Some((_, at)) = commands.into_iter().find(|(kind, _)| *kind == CODE_SIGNATURE) else {
        return match view.u32(4) {
            Some(CPU_X86_64) => Ok(()),
            _ => {
                Err("it is not signed, and Apple's processors run nothing unsigned; sign it ad hoc")
            }
        };
    };
    let offset = u64::from(view.u32(at + 8).ok_or(damaged)?);
    let signature = view.bytes(offset, u64::from(view.u32(at + 12).ok_or(damaged)?));
    match signature.and_then(|signature| matches(exe, offset, View(signature))) {
        Some(true) => Ok(()),
        Some(false) => Err("it was changed after it was signed; sign it again"),
        None => Err("its signature is damaged or of an unknown kind"),
    }
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

/// Whether the hashes of a signature that begins at `offset` are those of the executable.
fn matches(exe: &[u8], offset: u64, signature: View<'_>) -> Option<bool> {
    if signature.u32_be(0)? != SUPER_BLOB {
        return None;
    }
    let count = u64::from(signature.u32_be(8)?).min(MAX_SLOTS);
    let slot =
        (0..count).find(|slot| signature.u32_be(12 + 8 * slot) == Some(CODE_DIRECTORY_SLOT))?;
    let start = u64::from(signature.u32_be(16 + 8 * slot)?);
    let len = u64::from(signature.u32_be(start + 4)?);
    let directory = View(signature.bytes(start, len)?);
    let [hash_len, hash_kind, _, page_bits] = *directory.bytes(36, 4)? else { return None };
    if directory.u32_be(0)? != CODE_DIRECTORY
        || (hash_len, hash_kind) != (32, SHA256)
        || !(12..=16).contains(&page_bits)
    {
        return None;
    }
    let hashes = u64::from(directory.u32_be(16)?);
    let pages = u64::from(directory.u32_be(28)?);
    let limit = u64::from(directory.u32_be(32)?);
    if limit != offset || pages != limit.div_ceil(1 << page_bits) {
        return Some(false);
    }
    let code = View(exe).bytes(0, limit)?;
    for (page, index) in code.chunks(1 << page_bits).zip(0..) {
        if Sha256::digest(page).as_slice() != directory.bytes(hashes + 32 * index, 32)? {
            return Some(false);
        }
    }
    Some(true)
}

//! Code signatures of macOS (Apple's `kern/cs_blobs.h`); numbers in them are big-endian.
//!
//! Apple's processors run nothing unsigned. An ad-hoc signature needs no key: it lists the SHA-256
//! of each page of the executable. It covers the executable up to itself, and not what follows in
//! the file, so that the same signature holds for the executable with a model behind it.

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::bytes::View;

const SUPER_BLOB: u32 = 0xfade_0cc0;
const CODE_DIRECTORY: u32 = 0xfade_0c02;
const CODE_DIRECTORY_SLOT: u32 = 0;
/// With it, a directory says where the main program is.
const VERSION: u32 = 0x2_0400;
/// Nobody signed it; and as linkers do it, so that Apple's tools may sign anew.
const FLAGS: u32 = 0x2 | 0x2_0000;
/// The segment is that of a program, not of a library.
const MAIN_BINARY: u64 = 1;
const SHA256: u8 = 2;
const HASH: u64 = 32;
const PAGE_BITS: u8 = 12;
/// Bytes of the blob around a directory, and of the directory without name and hashes.
const BLOB: u64 = 20;
const DIRECTORY: u64 = 88;
/// Name that the program is signed under, with its end.
const NAME: &[u8] = b"llamafile\0";
/// Most parts of a signature that are looked at; signatures have less than ten.
const MAX_SLOTS: u64 = 64;

/// Bytes of the signature of `code` bytes of an executable.
pub fn len(code: u64) -> u64 {
    BLOB + DIRECTORY + NAME.len() as u64 + HASH * code.div_ceil(1 << PAGE_BITS)
}

/// The ad-hoc signature of an executable, to stand directly behind it; `main` is where its
/// `__TEXT` segment lies.
pub fn of(code: &[u8], main: Range<u64>) -> Vec<u8> {
    let pages = code.chunks(1 << PAGE_BITS);
    let total = len(code.len() as u64);
    let hashes = DIRECTORY + NAME.len() as u64;
    let mut out = Vec::new();
    let mut put = |values: &[u32]| out.extend(values.iter().flat_map(|value| value.to_be_bytes()));
    put(&[SUPER_BLOB, total as u32, 1, CODE_DIRECTORY_SLOT, BLOB as u32]);
    put(&[CODE_DIRECTORY, (total - BLOB) as u32, VERSION, FLAGS]);
    put(&[hashes as u32, DIRECTORY as u32, 0, pages.len() as u32, code.len() as u32]);
    put(&[u32::from_be_bytes([HASH as u8, SHA256, 0, PAGE_BITS])]);
    // Spare; scattered pages, team, spare; and the length once more, if it needs 64 bits.
    put(&[0, 0, 0, 0, 0, 0]);
    for value in [main.start, main.end.saturating_sub(main.start), MAIN_BINARY] {
        out.extend(value.to_be_bytes());
    }
    out.extend_from_slice(NAME);
    for page in pages {
        // The last one as far as it goes: padded, macOS 27 refuses it.
        out.extend_from_slice(&Sha256::digest(page));
    }
    out
}

/// Whether the hashes of a signature that begins at `offset` are those of the executable; `None`
/// for a signature that is damaged or of another kind.
pub fn holds(exe: &[u8], offset: u64, signature: &[u8]) -> Option<bool> {
    let signature = View(signature);
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
        || (u64::from(hash_len), hash_kind) != (HASH, SHA256)
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
        if Sha256::digest(page).as_slice() != directory.bytes(hashes + HASH * index, HASH)? {
            return Some(false);
        }
    }
    Some(true)
}

//! Code signatures of macOS: a directory of hashes of the executable's pages, as `cs_blobs.h` of
//! Apple's kernel lays it out. Numbers are big-endian.

use sha2::{Digest, Sha256};

const SUPER_BLOB: u32 = 0xfade_0cc0;
const CODE_DIRECTORY: u32 = 0xfade_0c02;
/// Flag of a directory that nobody signed: enough for Apple's processors to start it.
const AD_HOC: u32 = 2;
/// Kind of hash: SHA-256.
const SHA256: u8 = 2;
const HASH: usize = 32;

/// Checks the signature that is `size` bytes at `offset`, and all hashes in it. Returns the name that
/// the executable is signed under.
pub fn check(file: &[u8], offset: usize, size: usize) -> Result<String, String> {
    let blob = part(file, offset, size)?;
    if u32_at(blob, 0)? != SUPER_BLOB {
        return Err("has a signature of an unknown kind".into());
    }
    for entry in 0..u32_at(blob, 8)? as usize {
        let at = u32_at(blob, 12 + 8 * entry + 4)? as usize;
        let content = blob.get(at..).ok_or("its signature is cut off")?;
        if u32_at(content, 0)? == CODE_DIRECTORY {
            return directory(file, offset, content);
        }
    }
    Err("has a signature without hashes of its code".into())
}

/// Checks a directory of hashes, which must cover the file up to its signature.
fn directory(file: &[u8], signature: usize, directory: &[u8]) -> Result<String, String> {
    let flags = u32_at(directory, 12)?;
    let hashes = u32_at(directory, 16)? as usize;
    let identifier = u32_at(directory, 20)? as usize;
    let count = u32_at(directory, 28)? as usize;
    let covered = u32_at(directory, 32)? as usize;
    let [hash_size, hash_kind, _, page_bits] = u32_at(directory, 36)?.to_be_bytes();
    if flags & AD_HOC == 0 {
        return Err(format!("is signed with flags {flags:#x}, expected an ad-hoc signature"));
    }
    if (usize::from(hash_size), hash_kind) != (HASH, SHA256) || page_bits > 16 {
        return Err("is signed with other hashes than SHA-256 of pages".into());
    }
    if covered != signature {
        return Err(format!("is signed up to byte {covered}, expected {signature}"));
    }
    let pages = file[..covered].chunks(1 << page_bits);
    if pages.len() != count {
        return Err(format!("has {} pages, but hashes of {count}", pages.len()));
    }
    for (index, page) in pages.enumerate() {
        if part(directory, hashes + HASH * index, HASH)? != &Sha256::digest(page)[..] {
            return Err(format!("differs from its signature in page {index}"));
        }
    }
    let name = directory.get(identifier..).unwrap_or_default().split(|&b| b == 0).next();
    Ok(String::from_utf8_lossy(name.unwrap_or_default()).into_owned())
}

fn part(bytes: &[u8], at: usize, len: usize) -> Result<&[u8], String> {
    let end = at.checked_add(len);
    end.and_then(|end| bytes.get(at..end)).ok_or_else(|| "its signature is cut off".into())
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, String> {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk());
    bytes.map(|bytes| u32::from_be_bytes(*bytes)).ok_or_else(|| "its signature is cut off".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 5000 bytes of code and an ad-hoc signature of their two pages.
    fn signed() -> Vec<u8> {
        let code: Vec<u8> = (0..5000u32).map(|n| n as u8).collect();
        let name = b"a.out\0";
        let hashes: Vec<u8> = code.chunks(4096).flat_map(Sha256::digest).collect();
        let at_name = 44;
        let at_hashes = at_name + name.len() as u32;
        let length = at_hashes + hashes.len() as u32;
        let fields =
            [CODE_DIRECTORY, length, 0x20001, AD_HOC, at_hashes, at_name, 0, 2, code.len() as u32];
        let blob = [SUPER_BLOB, 20 + length, 1, 0, 20];
        let mut file = code;
        file.extend(blob.into_iter().chain(fields).flat_map(u32::to_be_bytes));
        file.extend([HASH as u8, SHA256, 0, 12, 0, 0, 0, 0]);
        file.extend(name);
        file.extend(hashes);
        file
    }

    #[test]
    fn a_signature_covers_every_page() {
        let file = signed();
        let size = file.len() - 5000;
        assert_eq!(check(&file, 5000, size).as_deref(), Ok("a.out"));
        for changed in [0, 4095, 4096, 4999] {
            let mut file = file.clone();
            file[changed] ^= 1;
            let error = check(&file, 5000, size).unwrap_err();
            assert!(error.ends_with(&format!("in page {}", changed / 4096)), "{error}");
        }
    }

    #[test]
    fn a_signature_may_be_cut_off_anywhere() {
        let file = signed();
        for end in 5000..file.len() {
            assert!(check(&file[..end], 5000, end - 5000).is_err(), "{end}");
        }
    }
}

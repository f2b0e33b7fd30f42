//! What a file is that is not GGUF, by its first bytes, for helpful messages.

use std::fmt;

/// What a file that is not GGUF looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// Only zero bytes at its start: space that a download reserved.
    Zeros,
    /// The text that Git stores in place of a large file.
    LfsPointer,
    /// An HTML page, often a log-in or error page.
    Html,
    /// Other text, JSON included.
    Text,
    /// Hugging Face safetensors.
    Safetensors,
    /// A zip archive that holds a PyTorch checkpoint.
    PyTorchZip,
    /// Another zip archive.
    Zip,
    /// A gzip stream.
    Gzip,
    /// A pickle, as old PyTorch checkpoints are.
    Pickle,
    /// An executable of Windows, Linux or macOS.
    Executable,
    /// None of these; the first four bytes.
    Unknown([u8; 4]),
}

impl FileKind {
    /// Judges by the first bytes of a file.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let head = &bytes[..bytes.len().min(512)];
        let starts = |magic: &[u8]| head.starts_with(magic);
        if head.iter().all(|&byte| byte == 0) {
            Self::Zeros
        } else if starts(b"version https://git-lfs") {
            Self::LfsPointer
        } else if starts(b"PK\x03\x04") {
            let pickle = head.windows(8).any(|name| name == b"data.pkl");
            if pickle { Self::PyTorchZip } else { Self::Zip }
        } else if starts(b"\x1f\x8b") {
            Self::Gzip
        // A 64-bit length of less than a TiB, then JSON.
        } else if head.get(5..10) == Some(b"\0\0\0{\"") {
            Self::Safetensors
        } else if head[0] == 0x80 && matches!(head.get(1), Some(2..=5)) {
            Self::Pickle
        } else if starts(b"MZ") || starts(b"\x7fELF") || starts(b"\xcf\xfa\xed\xfe") {
            Self::Executable
        } else if is_text(head) {
            let text = head.trim_ascii_start().to_ascii_lowercase();
            let html = text.starts_with(b"<!doctype html") || text.starts_with(b"<html");
            if html { Self::Html } else { Self::Text }
        } else {
            let mut magic = [0; 4];
            let len = head.len().min(4);
            magic[..len].copy_from_slice(&head[..len]);
            Self::Unknown(magic)
        }
    }
}

/// Printable UTF-8, where the cut at the end may fall within a character.
fn is_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    valid.chars().all(|c| !c.is_control() || c.is_ascii_whitespace())
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zeros => "it begins with zero bytes only, as an unfinished download does",
            Self::LfsPointer => {
                "it is a Git LFS pointer; fetch the file itself with `git lfs pull`"
            }
            Self::Html => "it is an HTML page; the download address was not that of the file",
            Self::Text => "it is a text file",
            Self::Safetensors => "it is a safetensors file; convert the model to GGUF first",
            Self::PyTorchZip => "it is a PyTorch checkpoint; convert the model to GGUF first",
            Self::Zip => "it is a zip archive; extract the model first",
            Self::Gzip => "it is compressed with gzip; decompress it first",
            Self::Pickle => "it is a pickle (PyTorch checkpoint); convert the model to GGUF first",
            Self::Executable => "it is an executable program",
            Self::Unknown(magic) => {
                return write!(f, "it begins with \"{}\"", magic.escape_ascii());
            }
        })
    }
}

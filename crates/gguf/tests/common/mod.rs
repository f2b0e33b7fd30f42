//! Building files byte by byte, independent of the crate's writer.

#![allow(dead_code)] // Each test file uses a part.

use std::path::Path;

use bytes::Bytes;

/// A file in the making; lengths have the width of its version.
pub struct Raw {
    version: u32,
    pub bytes: Vec<u8>,
}

impl Raw {
    pub fn new(version: u32, tensors: u64, keys: u64) -> Self {
        let mut raw = Self { version, bytes: b"GGUF".to_vec() };
        raw.u32(version).size(tensors).size(keys);
        raw
    }

    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend(bytes);
        self
    }

    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub fn size(&mut self, value: u64) -> &mut Self {
        if self.version == 1 { self.u32(value as u32) } else { self.u64(value) }
    }

    pub fn string(&mut self, value: &[u8]) -> &mut Self {
        self.size(value.len() as u64).raw(value)
    }

    /// A key and its value's type id and bytes.
    pub fn pair(&mut self, key: &str, ty: u32, value: &[u8]) -> &mut Self {
        self.string(key.as_bytes()).u32(ty).raw(value)
    }

    pub fn tensor(&mut self, name: &str, shape: &[u64], ty: u32, offset: u64) -> &mut Self {
        self.string(name.as_bytes()).u32(shape.len() as u32);
        for &len in shape {
            self.size(len);
        }
        self.u32(ty).u64(offset)
    }

    /// Padding to 32, then data.
    pub fn data(&mut self, data: &[u8]) -> &mut Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(32), 0);
        self.raw(data)
    }

    pub fn done(&self) -> Bytes {
        Bytes::from(self.bytes.clone())
    }
}

/// Headers of real models, with their names.
pub fn headers() -> Vec<(String, Bytes)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut headers = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "gguf-header") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            headers.push((name, Bytes::from(std::fs::read(path).unwrap())));
        }
    }
    headers.sort();
    assert_eq!(headers.len(), 4);
    headers
}

/// A new folder for this test.
pub fn folder(test: &str) -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

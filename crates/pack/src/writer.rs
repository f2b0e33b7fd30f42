//! Writing a file: members one after the other, then their list.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::Error;
use crate::archive::unsafe_name;
use crate::engine::hex;
use crate::zip::{self, Method, Record};

/// Where the data of models begins is a multiple of this: the largest page of any system, and the
/// granularity of mappings on Windows.
pub const ALIGNMENT: u64 = 64 << 10;
/// Member with the SHA-256 of every other, in the format of `sha256sum`.
pub const SUMS: &str = ".llamafile/SHA256SUMS";

/// Bytes that are read, hashed and copied at once.
const CHUNK: usize = 16 << 20;

/// A member to store, from a part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Name that it gets.
    pub name: String,
    /// File that it comes from.
    pub path: PathBuf,
    /// Bytes of that file.
    pub range: Range<u64>,
}

impl Source {
    /// A whole file, stored by its own name.
    ///
    /// # Errors
    /// A file that can't be read, or whose name can't be stored.
    pub fn file(path: &Path) -> Result<Self, Error> {
        let about = path.metadata().map_err(Error::io("read", path))?;
        if !about.is_file() {
            return Err(Error::engine(path.display().to_string(), "it is no file"));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, path: path.to_owned(), range: 0..about.len() })
    }

    pub(crate) fn len(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }
}

/// Writes members at rising offsets of a file.
pub struct Writer<'a> {
    file: &'a mut File,
    path: &'a Path,
    position: u64,
    records: Vec<Record>,
    sums: String,
}

impl<'a> Writer<'a> {
    /// The first member comes at `position` or behind it.
    pub fn new(file: &'a mut File, path: &'a Path, position: u64) -> Self {
        Self { file, path, position, records: Vec::new(), sums: String::new() }
    }

    /// The next member comes at `position` or behind it.
    pub fn skip_to(&mut self, position: u64) {
        self.position = self.position.max(position);
    }

    /// Lists a member that is in the file already, with its line of sums if that is known.
    pub fn keep(&mut self, record: Record, end: u64, sum: Option<&str>) {
        if let Some(sum) = sum {
            self.sum(sum, &record.name);
        }
        self.records.push(record);
        self.skip_to(end);
    }

    /// Stores bytes; returns where they are.
    pub fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<u64, Error> {
        check_name(name, &self.records)?;
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        let size = bytes.len() as u64;
        let header = self.position;
        let record = stored(name, header, crc.sum(), size);
        let data = header + zip::local_len(name, size);
        self.put(header, &zip::local(&record))?;
        self.put(data, bytes)?;
        if name != SUMS {
            self.sum(&hex(&Sha256::digest(bytes)), name);
        }
        self.records.push(record);
        self.position = data + size;
        Ok(data)
    }

    /// Stores a part of another file at an aligned offset; `progress` hears of bytes done.
    pub fn source(&mut self, source: &Source, progress: &mut dyn FnMut(u64)) -> Result<(), Error> {
        check_name(&source.name, &self.records)?;
        let size = source.len();
        let header_len = zip::local_len(&source.name, size);
        let data = (self.position + header_len).next_multiple_of(ALIGNMENT);
        let header = data - header_len;
        self.seek(data)?;
        let (crc, sum) = self.copy(source, progress)?;
        let record = stored(&source.name, header, crc, size);
        self.put(header, &zip::local(&record))?;
        self.sum(&sum, &source.name);
        self.records.push(record);
        self.position = data + size;
        Ok(())
    }

    /// Writes sums and list, and ends the file here.
    pub fn finish(mut self) -> Result<u64, Error> {
        let sums = std::mem::take(&mut self.sums);
        self.bytes(SUMS, sums.as_bytes())?;
        let directory = zip::directory(&self.records, self.position);
        self.put(self.position, &directory)?;
        let end = self.position + directory.len() as u64;
        self.file.set_len(end).map_err(Error::io("write", self.path))?;
        Ok(end)
    }

    /// Copies bytes chunk by chunk. The system does the copying where it can, and shares blocks
    /// between the files where the file system can; they are read once more for the checksums.
    fn copy(
        &mut self,
        source: &Source,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(u32, String), Error> {
        let open = || {
            let mut file = File::open(&source.path)?;
            file.seek(SeekFrom::Start(source.range.start)).map(|_| file)
        };
        let mut reader = open().map_err(Error::io("open", &source.path))?;
        let copied = open().map_err(Error::io("open", &source.path))?;
        let mut crc = flate2::Crc::new();
        let mut sha = Sha256::new();
        let mut buffer = vec![0; CHUNK.min(usize::try_from(source.len()).unwrap_or(CHUNK))];
        let mut left = source.len();
        while left > 0 {
            let n = (CHUNK as u64).min(left);
            let chunk = &mut buffer[..n as usize];
            reader.read_exact(chunk).map_err(Error::io("read", &source.path))?;
            crc.update(chunk);
            sha.update(&*chunk);
            let done = io::copy(&mut (&copied).take(n), self.file)
                .map_err(Error::io("write", self.path))?;
            if done != n {
                let short = io::ErrorKind::UnexpectedEof.into();
                return Err(Error::io("read", &source.path)(short));
            }
            progress(n);
            left -= n;
        }
        Ok((crc.sum(), hex(&sha.finalize())))
    }

    fn put(&mut self, at: u64, bytes: &[u8]) -> Result<(), Error> {
        self.seek(at)?;
        self.file.write_all(bytes).map_err(Error::io("write", self.path))
    }

    fn seek(&mut self, at: u64) -> Result<(), Error> {
        self.file.seek(SeekFrom::Start(at)).map(|_| ()).map_err(Error::io("write", self.path))
    }

    fn sum(&mut self, sum: &str, name: &str) {
        self.sums.push_str(&format!("{sum}  {name}\n"));
    }
}

fn stored(name: &str, header: u64, crc: u32, size: u64) -> Record {
    let name = name.to_owned();
    Record { name, header, method: Method::Stored, crc, size, stored: size }
}

fn check_name(name: &str, records: &[Record]) -> Result<(), Error> {
    let refuse = |problem| Err(Error::Name { name: name.to_owned(), problem });
    if let Some(problem) = unsafe_name(name) {
        return refuse(problem);
    }
    if records.iter().any(|record| record.name == name) {
        return refuse("would be stored twice");
    }
    Ok(())
}

/// The lines of a [`SUMS`] member: hashes and names.
pub fn sums(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once("  "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Archive;

    /// Sizes and offsets beyond 4 GiB, in a file that takes no space on disk.
    #[test]
    fn large_files_have_64_bit_fields() {
        let path = std::env::temp_dir().join(format!("pack-zip64-{}", std::process::id()));
        let _remove = Remove(&path);
        let mut file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        let size = 5 << 30;
        let header = ALIGNMENT - zip::local_len("large.gguf", size);
        let mut writer = Writer::new(&mut file, &path, 0);
        let record = stored("large.gguf", header, 0x1234_5678, size);
        writer.put(header, &zip::local(&record)).unwrap();
        writer.keep(record, ALIGNMENT + size, None);
        writer.bytes("behind.txt", b"behind").unwrap();
        writer.finish().unwrap();

        let archive = Archive::open(&path).unwrap();
        let large = archive.entry("large.gguf").unwrap();
        assert_eq!(large.range(), Some(ALIGNMENT..ALIGNMENT + size));
        assert!(archive.entry("behind.txt").unwrap().range().unwrap().start > size);
        assert_eq!(archive.read("behind.txt", 6).unwrap(), b"behind");
        let text = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); \
                    print([(i.filename, i.file_size) for i in z.infolist()], z.read('behind.txt'))";
        let python = std::process::Command::new("python3").args(["-c", text]).arg(&path).output();
        if let Ok(output) = python {
            let text = String::from_utf8_lossy(&output.stdout);
            let expected = "[('large.gguf', 5368709120), ('behind.txt', 6), ";
            assert!(text.starts_with(expected) && text.ends_with("b'behind'\n"), "{output:?}");
        }
    }

    struct Remove<'a>(&'a Path);

    impl Drop for Remove<'_> {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(self.0);
        }
    }
}

//! Reading what is stored in a file, and refusing what can't be trusted.
//!
//! Everything is checked before the first byte of a member is used: where members lie, that they
//! do not overlap, what they are called. Only checksums wait for [`Archive::verify`], as they need
//! every byte of the weights.
//!
//! [`Archive::verify`]: crate::verify

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, FileReader, ZipArchive, ZipLocator};

use crate::Error;
use crate::zip::{Method, Record};

/// Most members that are accepted; files have some dozens.
const MAX_ENTRIES: usize = 1 << 16;
/// Most bytes of the central directory.
const MAX_DIRECTORY: u64 = 64 << 20;
/// Bytes of the record at the end of an archive.
const END: u64 = 22;
/// The same with the longest comment.
const MAX_END: u64 = (1 << 16) + END;
/// Longest name and extra fields of a member.
const MAX_HEADER: usize = 2 * 65_536;

/// A member of a file, whose bytes are known to lie within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub(crate) record: Record,
    /// Where its stored bytes are in the file.
    pub(crate) data: Range<u64>,
}

impl Entry {
    /// Its name, with `/` between folders.
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// Bytes of it.
    pub fn size(&self) -> u64 {
        self.record.size
    }

    /// Where its bytes are in the file; `None` if they are compressed.
    pub fn range(&self) -> Option<Range<u64>> {
        (self.record.method == Method::Stored).then(|| self.data.clone())
    }

    /// Whether it is a model file.
    pub fn is_model(&self) -> bool {
        self.record.name.ends_with(".gguf")
    }
}

/// What is stored in a file.
#[derive(Debug, Clone)]
pub struct Archive {
    path: PathBuf,
    entries: Vec<Entry>,
    /// Where the central directory begins.
    pub(crate) directory: u64,
}

impl Archive {
    /// Reads the list of members of a file that must have some.
    ///
    /// # Errors
    /// A file that can't be read, has nothing packed in it, or is damaged.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::find(path)?.ok_or_else(|| Error::NotPacked { path: path.to_owned() })
    }

    /// The same of a file that may have none.
    ///
    /// # Errors
    /// A file that can't be read or is damaged.
    pub fn find(path: &Path) -> Result<Option<Self>, Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let about = file.metadata().map_err(Error::io("read", path))?;
        if !about.is_file() {
            return Ok(None);
        }
        let ends = ends_as_archive(&file, about.len()).map_err(Error::io("read", path))?;
        let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
        let locator = ZipLocator::new().max_search_space(MAX_END);
        let archive = match locator.locate_in_file(file, &mut buffer) {
            Ok(archive) if archive.end_offset() == about.len() => archive,
            Err((_, error)) if ends => return Err(Error::damaged(path, error.to_string())),
            // Bytes of a program may look like an end, too.
            Ok(_) | Err(_) => return Ok(None),
        };
        let directory = archive.directory_offset();
        let entries = Reader { path, archive: &archive, directory }.entries(&mut buffer)?;
        Ok(Some(Self { path: path.to_owned(), entries, directory }))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All members but folders, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The member of that name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name() == name)
    }

    /// The model `name` in it, with all other models as its possible shards.
    ///
    /// # Errors
    /// No such member, or a compressed one.
    pub fn model(&self, name: &str) -> Result<gguf::Location, Error> {
        let entry = self.entry(name).ok_or_else(|| self.missing(name))?;
        if entry.range().is_none() {
            let problem = format!("{name} is compressed, so that it can't be used in place");
            return Err(Error::Engine { name: self.path.display().to_string(), problem });
        }
        let members = self.entries.iter().filter(|entry| entry.is_model());
        let members = members.filter_map(|entry| Some((entry.name().to_owned(), entry.range()?)));
        Ok(gguf::Location::within(&self.path, name, members))
    }

    /// The bytes of a small member.
    ///
    /// # Errors
    /// No such member, one of more than `limit` bytes, or one whose checksum is wrong.
    pub fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, Error> {
        let entry = self.entry(name).ok_or_else(|| self.missing(name))?;
        if entry.size() > limit {
            let problem = format!("{name} has {} bytes, expected at most {limit}", entry.size());
            return Err(Error::damaged(&self.path, problem));
        }
        let mut bytes = Vec::new();
        self.stream(entry, &mut |chunk| bytes.extend_from_slice(chunk))?;
        Ok(bytes)
    }

    /// Hands all bytes of a member to `sink`, and checks their number and checksum.
    pub(crate) fn stream(&self, entry: &Entry, sink: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let failed = Error::io("read", &self.path);
        let mut file = File::open(&self.path).map_err(Error::io("open", &self.path))?;
        let len = entry.data.end - entry.data.start;
        let copied =
            file.seek(SeekFrom::Start(entry.data.start)).and_then(|_| match entry.record.method {
                Method::Stored => copy(file.take(len), entry.size(), sink),
                Method::Deflated => copy(DeflateDecoder::new(file.take(len)), entry.size(), sink),
            });
        let (size, crc) = match copied {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Err(Error::damaged(&self.path, format!("{}: {error}", entry.name())));
            }
            result => result.map_err(failed)?,
        };
        if (size, crc) != (entry.size(), entry.record.crc) {
            let problem = format!(
                "{}: {size} bytes with checksum {crc:08x}, expected {} with {:08x}",
                entry.name(),
                entry.size(),
                entry.record.crc
            );
            return Err(Error::damaged(&self.path, problem));
        }
        Ok(())
    }

    fn missing(&self, name: &str) -> Error {
        Error::NoEntry { path: self.path.clone(), name: name.to_owned() }
    }
}

/// Whether the last bytes of a file are the end of an archive without a comment.
fn ends_as_archive(mut file: &File, len: u64) -> io::Result<bool> {
    let mut end = [0; END as usize];
    if len < END {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(len - END))?;
    file.read_exact(&mut end)?;
    Ok(end.starts_with(b"PK\x05\x06") && end.ends_with(&[0, 0]))
}

/// Hands at most one byte more than `limit` to `sink`; returns how many there were, and their CRC.
fn copy(from: impl Read, limit: u64, sink: &mut dyn FnMut(&[u8])) -> io::Result<(u64, u32)> {
    let mut from = from.take(limit.saturating_add(1));
    let mut crc = flate2::Crc::new();
    let mut size = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok((size, crc.sum())),
            Ok(n) => {
                size += n as u64;
                crc.update(&buffer[..n]);
                sink(&buffer[..n]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Checks members one by one.
struct Reader<'a> {
    path: &'a Path,
    archive: &'a ZipArchive<FileReader>,
    directory: u64,
}

impl Reader<'_> {
    fn entries(&self, buffer: &mut [u8]) -> Result<Vec<Entry>, Error> {
        let damaged = |problem: String| Error::damaged(self.path, problem);
        let list = |error: rawzip::Error| damaged(format!("its list of members: {error}"));
        let size = self.archive.eocd_offset() - self.directory;
        if size > MAX_DIRECTORY {
            return Err(damaged(format!("its list of members has {size} bytes")));
        }
        let mut entries = Vec::new();
        let mut names = HashSet::new();
        let mut header = vec![0; MAX_HEADER];
        let mut cursor = self.archive.entries(buffer);
        let mut count = 0;
        while let Some(found) = cursor.next_entry().map_err(list)? {
            count += 1;
            if count > MAX_ENTRIES {
                return Err(damaged(format!("it has more than {MAX_ENTRIES} members")));
            }
            let path = found.file_path();
            let bytes: &[u8] = path.as_ref();
            let name = str::from_utf8(bytes)
                .map_err(|_| damaged(format!("the name of member {count} is not UTF-8")))?;
            if let Some(problem) = unsafe_name(name.strip_suffix('/').unwrap_or(name)) {
                return Err(damaged(format!("the name {name:?} of a member {problem}")));
            }
            if !names.insert(name.to_owned()) {
                return Err(damaged(format!("two members are called {name}")));
            }
            let method = match found.compression_method() {
                CompressionMethod::STORE => Method::Stored,
                CompressionMethod::DEFLATE => Method::Deflated,
                _ if name.ends_with('/') => Method::Stored,
                other => {
                    let problem = format!("{name} is compressed in an unknown way, {other:?}");
                    return Err(damaged(problem));
                }
            };
            let record = Record {
                name: name.to_owned(),
                header: found.local_header_offset(),
                method,
                crc: found.crc32(),
                size: found.uncompressed_size_hint(),
                stored: found.compressed_size_hint(),
            };
            let encrypted = found.flags().is_encrypted();
            entries.push(self.entry(record, found.wayfinder(), encrypted, &mut header)?);
        }
        if self.archive.entries_hint() != count as u64 {
            return Err(damaged(format!("its list has {count} members, not as many as it says")));
        }
        entries.sort_by_key(|entry| entry.record.header);
        for pair in entries.windows(2) {
            if pair[0].data.end > pair[1].record.header {
                let (first, second) = (pair[0].name(), pair[1].name());
                return Err(damaged(format!("the members {first} and {second} overlap")));
            }
        }
        entries.retain(|entry| !entry.name().ends_with('/'));
        Ok(entries)
    }

    /// Compares a member with its local header.
    fn entry(
        &self,
        record: Record,
        wayfinder: rawzip::ZipArchiveEntryWayfinder,
        encrypted: bool,
        header: &mut [u8],
    ) -> Result<Entry, Error> {
        let damaged =
            |problem: String| Error::damaged(self.path, format!("{}: {problem}", record.name));
        if encrypted {
            return Err(damaged("it is encrypted".into()));
        }
        if record.method == Method::Stored && record.size != record.stored {
            return Err(damaged("it is stored, but its two sizes differ".into()));
        }
        let text = |error: rawzip::Error| damaged(format!("its header: {error}"));
        let found = self.archive.get_entry(wayfinder).map_err(text)?;
        let (start, end) = found.compressed_data_range();
        if end > self.directory {
            return Err(damaged("its data ends behind the list of members".into()));
        }
        let local = found.local_header(header).map_err(text)?;
        if local.file_path().as_bytes() != record.name.as_bytes() {
            return Err(damaged("its header has another name".into()));
        }
        let sizes = (local.compressed_size_hint(), local.uncompressed_size_hint());
        if !local.flags().has_data_descriptor() && sizes != (record.stored, record.size) {
            return Err(damaged("its header has other sizes".into()));
        }
        Ok(Entry { record, data: start..end })
    }
}

/// What is wrong with a name that could lead out of a folder it is unpacked to.
pub(crate) fn unsafe_name(name: &str) -> Option<&'static str> {
    let bytes = name.as_bytes();
    if name.is_empty() || name.starts_with('/') || bytes.get(1) == Some(&b':') {
        Some("is not relative")
    } else if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        Some("has an empty part, . or ..")
    } else if name.bytes().any(|byte| byte < b' ' || byte == b'\\' || byte == 0x7f) {
        Some("has a backslash or control character")
    } else if name.len() > 4096 {
        Some("is too long")
    } else {
        None
    }
}

//! Writing a ZIP archive at the end of a file: stored members, ZIP64 where sizes ask for it.
//!
//! Headers come before the data and say its size and checksum, so that every tool lists the file.
//! Offsets count from the file's first byte, before which nothing lies. Format: PKWARE's
//! APPNOTE.TXT 6.3.10; sections are named below.

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const END64_LOCATOR: u32 = 0x0706_4b50;

/// Version needed to extract: 1.0, or 4.5 for ZIP64 (4.4.3).
const VERSION: u16 = 10;
const VERSION64: u16 = 45;
/// Made on Unix, so that permissions count (4.4.2).
const MADE_BY: u16 = 3 << 8 | VERSION64;
/// Names are UTF-8 (4.4.4, bit 11).
const FLAGS: u16 = 1 << 11;
/// 1980-01-01: the same input makes the same file.
const DATE: u16 = 1 << 5 | 1;
/// A regular file that everyone may read (4.4.15).
const ATTRIBUTES: u32 = 0o100644 << 16;
const EXTRA64: u16 = 1;

/// How a member's bytes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// As they are.
    Stored,
    /// Compressed; only small members are ever read so.
    Deflated,
}

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name, with `/` between folders.
    pub name: String,
    /// Where its local header begins in the file.
    pub header: u64,
    /// How its bytes are kept.
    pub method: Method,
    /// CRC-32 of its bytes.
    pub crc: u32,
    /// Bytes of it.
    pub size: u64,
    /// Bytes that it takes in the file.
    pub stored: u64,
}

impl Record {
    fn method_id(&self) -> u16 {
        match self.method {
            Method::Stored => 0,
            Method::Deflated => 8,
        }
    }
}

/// Bytes of the local header of a member of that name and size.
pub fn local_len(name: &str, size: u64) -> u64 {
    30 + name.len() as u64 + if size >= LIMIT { 20 } else { 0 }
}

/// From here on a size or offset is written with 64 bits.
const LIMIT: u64 = u32::MAX as u64;

/// The local header, directly before the data (4.3.7).
pub fn local(record: &Record) -> Vec<u8> {
    let wide = record.size >= LIMIT || record.stored >= LIMIT;
    let mut out = Out::default();
    out.u32(LOCAL).u16(if wide { VERSION64 } else { VERSION }).u16(FLAGS);
    out.u16(record.method_id()).u16(0).u16(DATE).u32(record.crc);
    let narrow = |size: u64| if wide { u32::MAX } else { size as u32 };
    out.u32(narrow(record.stored)).u32(narrow(record.size));
    out.u16(record.name.len() as u16).u16(if wide { 20 } else { 0 });
    out.bytes(record.name.as_bytes());
    if wide {
        out.u16(EXTRA64).u16(16).u64(record.size).u64(record.stored);
    }
    out.0
}

/// The central directory and what follows it to the end of the file (4.3.12 to 4.3.16), for a
/// directory that begins at `offset`.
pub fn directory(records: &[Record], offset: u64) -> Vec<u8> {
    let mut out = Out::default();
    for record in records {
        central(&mut out, record);
    }
    let size = out.0.len() as u64;
    let count = records.len() as u64;
    if count >= u64::from(u16::MAX) || size >= LIMIT || offset >= LIMIT {
        out.u32(END64).u64(44).u16(MADE_BY).u16(VERSION64).u32(0).u32(0);
        out.u64(count).u64(count).u64(size).u64(offset);
        out.u32(END64_LOCATOR).u32(0).u64(offset + size).u32(1);
    }
    let count = count.min(u64::from(u16::MAX)) as u16;
    out.u32(END).u16(0).u16(0).u16(count).u16(count);
    out.u32(size.min(LIMIT) as u32).u32(offset.min(LIMIT) as u32).u16(0);
    out.0
}

/// One record of the central directory (4.3.12); its ZIP64 field has only what does not fit.
fn central(out: &mut Out, record: &Record) {
    let fields = [record.size, record.stored, record.header];
    let wide: Vec<u64> = fields.into_iter().filter(|value| *value >= LIMIT).collect();
    let narrow = |value: u64| value.min(LIMIT) as u32;
    out.u32(CENTRAL).u16(MADE_BY).u16(if wide.is_empty() { VERSION } else { VERSION64 });
    out.u16(FLAGS).u16(record.method_id()).u16(0).u16(DATE).u32(record.crc);
    out.u32(narrow(record.stored)).u32(narrow(record.size));
    let extra = if wide.is_empty() { 0 } else { 4 + 8 * wide.len() as u16 };
    out.u16(record.name.len() as u16).u16(extra).u16(0).u16(0).u16(0);
    out.u32(ATTRIBUTES).u32(narrow(record.header)).bytes(record.name.as_bytes());
    if !wide.is_empty() {
        out.u16(EXTRA64).u16(extra - 4);
        for value in wide {
            out.u64(value);
        }
    }
}

/// Little-endian output.
#[derive(Default)]
struct Out(Vec<u8>);

impl Out {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }
}

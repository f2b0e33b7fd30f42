//! PE executables of Windows (Microsoft's "PE Format").
//!
//! [`behind`] moves the headers of one behind a text, so that the same file is an executable and
//! begins with a shell script. Windows finds the headers by the offset at 0x3c and maps everything
//! up to `SizeOfHeaders`; the sections stay where they are in memory and move in the file.

use crate::bytes::{View, put_u16, put_u32};
use crate::image::Image;
use crate::resources::{self, Resource};
use crate::target::{Arch, Os};

/// Bytes of a portable file's headers: the most that lie before the first section in memory.
pub const HEADERS: u64 = 0x1000;
/// Where the offset of the PE headers stands.
pub const OFFSET_FIELD: u64 = 0x3c;

const MACHINE_AMD64: u16 = 0x8664;
const MACHINE_ARM64: u16 = 0xaa64;
const PE32_PLUS: u16 = 0x20b;
const FILE_HEADER: u64 = 24;
const SECTION: u64 = 40;
/// A section with initialised data that may be read.
const READABLE_DATA: u32 = 0x4000_0040;
const DEBUG_ENTRY: u64 = 28;
/// Most that sections may be aligned to in a file.
const MAX_ALIGNMENT: u32 = 64 << 10;
/// Data directories: resources; and those with offsets in the file, certificates, debug information.
const RESOURCES: u64 = 2;
const CERTIFICATES: u64 = 4;
const DEBUG: u64 = 6;
const BOUND_IMPORTS: u64 = 11;

/// Reads the headers at the front of a PE file.
pub fn inspect(front: &[u8]) -> Result<Image, &'static str> {
    let headers = Headers::read(View(front))?;
    let arch = match headers.view.u16(headers.at + 4) {
        Some(MACHINE_AMD64) => Arch::X86_64,
        Some(MACHINE_ARM64) => Arch::Aarch64,
        _ => return Err("it is for another processor"),
    };
    let len = headers.end().ok_or("its PE headers are damaged")?;
    Ok(Image::new(Os::Windows, arch, len))
}

/// The executable with `front` before its headers. The offset at 0x3c is written into `front`.
pub fn behind(front: &[u8], exe: &[u8]) -> Result<Vec<u8>, &'static str> {
    let headers = Headers::read(View(exe))?;
    headers.moved(front, exe)
}

/// The resources of an executable.
pub fn resources(exe: &[u8]) -> Result<Vec<Resource>, &'static str> {
    let headers = Headers::read(View(exe))?;
    headers.resources().ok_or("its resources are damaged or too large")
}

/// The executable with these resources in place of those of the same kinds, in a section at its
/// end.
pub fn with_resources(exe: &[u8], added: &[Resource]) -> Result<Vec<u8>, &'static str> {
    let headers = Headers::read(View(exe))?;
    let mut all = headers.resources().ok_or("its resources are damaged or too large")?;
    all.retain(|old| added.iter().all(|new| new.kind != old.kind));
    all.extend_from_slice(added);
    headers.with_section(exe, |address| resources::section(all, address))
}

/// Where the headers of an executable are.
struct Headers<'a> {
    view: View<'a>,
    /// Offset of the signature.
    at: u64,
    /// Offset of the optional header.
    optional: u64,
    /// Offset and number of the section headers.
    sections: u64,
    count: u64,
    /// `SizeOfHeaders`.
    size: u64,
}

impl<'a> Headers<'a> {
    fn read(view: View<'a>) -> Result<Self, &'static str> {
        let damaged = "its PE headers are damaged";
        let at = u64::from(view.u32(OFFSET_FIELD).ok_or(damaged)?);
        if view.bytes(at, 4) != Some(b"PE\0\0") {
            return Err("it is no PE file");
        }
        let optional = at + FILE_HEADER;
        if view.u16(optional) != Some(PE32_PLUS) {
            return Err("it is no PE file for 64 bits");
        }
        let read = || {
            let count = u64::from(view.u16(at + 6)?);
            let sections = optional + u64::from(view.u16(at + 20)?);
            let size = u64::from(view.u32(optional + 60)?);
            view.bytes(sections, count * SECTION)?;
            Some(Self { view, at, optional, sections, count, size })
        };
        read().ok_or(damaged)
    }

    /// Offset of a data directory's entry, if there is one.
    fn directory(&self, index: u64) -> Option<u64> {
        let count = self.view.u32(self.optional + 108)?;
        (index < u64::from(count)).then_some(self.optional + 112 + 8 * index)
    }

    /// Offsets of the section headers.
    fn section_headers(&self) -> impl Iterator<Item = u64> {
        let first = self.sections;
        (0..self.count).map(move |index| first + index * SECTION)
    }

    /// The end of the last section's data or of the certificates.
    fn end(&self) -> Option<u64> {
        let mut end = self.size;
        for header in self.section_headers() {
            let (len, offset) = (self.view.u32(header + 16)?, self.view.u32(header + 20)?);
            end = end.max(u64::from(offset) + u64::from(len));
        }
        if let Some(entry) = self.directory(CERTIFICATES) {
            end = end.max(u64::from(self.view.u32(entry)?) + u64::from(self.view.u32(entry + 4)?));
        }
        Some(end)
    }

    fn resources(&self) -> Option<Vec<Resource>> {
        let Some(entry) = self.directory(RESOURCES) else { return Some(Vec::new()) };
        let (address, len) = (self.view.u32(entry)?, self.view.u32(entry + 4)?);
        if len == 0 {
            return Some(Vec::new());
        }
        let bytes = |address, len| self.view.bytes(self.offset_of(address)?, u64::from(len));
        resources::read(bytes(address, len)?, bytes)
    }

    /// The executable with a section of resources behind the others.
    fn with_section(
        &self,
        exe: &[u8],
        content: impl FnOnce(u32) -> Vec<u8>,
    ) -> Result<Vec<u8>, &'static str> {
        let damaged = "its PE headers are damaged";
        let field = |at: u64| self.view.u32(at).ok_or(damaged);
        let signed = |entry: u64| self.view.u32(entry + 4).is_none_or(|len| len != 0);
        if self.directory(CERTIFICATES).is_some_and(signed) {
            return Err("it is signed, which what is added would make invalid; sign it afterwards");
        }
        let entry = self.directory(RESOURCES).ok_or(damaged)?;
        let header = self.sections + self.count * SECTION;
        let room = self.view.bytes(header, SECTION);
        if header + SECTION > self.size || room.is_none_or(|bytes| bytes.iter().any(|b| *b != 0)) {
            return Err("its PE headers have no room for a section of resources");
        }
        let (in_memory, in_file) = (field(self.optional + 32)?, field(self.optional + 36)?);
        if in_file > MAX_ALIGNMENT {
            return Err(damaged);
        }
        let align = |value: u32, to: u32| value.checked_next_multiple_of(to.max(1)).ok_or(damaged);
        let address = align(field(self.optional + 56)?, in_memory)?;
        let content = content(address);
        let too_large = "it is too large for an executable";
        let offset = u32::try_from(exe.len()).map_err(|_| too_large)?;
        let offset = align(offset, in_file)?;
        let len = u32::try_from(content.len()).map_err(|_| too_large)?;
        let raw = align(len, in_file)?;
        let end = align(address.checked_add(len).ok_or(too_large)?, in_memory)?;
        let data = field(self.optional + 8)?.saturating_add(raw);

        let mut out = exe.to_vec();
        out.resize(offset as usize, 0);
        out.extend_from_slice(&content);
        out.resize((u64::from(offset) + u64::from(raw)) as usize, 0);
        let mut write = || {
            put_u16(&mut out, self.at + 6, (self.count + 1) as u16)?;
            put_u32(&mut out, self.optional + 8, data)?;
            put_u32(&mut out, self.optional + 56, end)?;
            // A checksum counts for drivers only.
            put_u32(&mut out, self.optional + 64, 0)?;
            put_u32(&mut out, entry, address)?;
            put_u32(&mut out, entry + 4, len)?;
            let [name, rest] = [*b".rsr", *b"c\0\0\0"].map(u32::from_le_bytes);
            let fields = [name, rest, len, address, raw, offset, 0, 0, 0, READABLE_DATA];
            for (at, value) in (header..).step_by(4).zip(fields) {
                put_u32(&mut out, at, value)?;
            }
            Some(())
        };
        write().ok_or(damaged)?;
        Ok(out)
    }

    fn moved(&self, front: &[u8], exe: &[u8]) -> Result<Vec<u8>, &'static str> {
        let damaged = "its PE headers are damaged";
        let headers_len = self.sections + self.count * SECTION - self.at;
        let at = (front.len() as u64).next_multiple_of(8);
        if at + headers_len > HEADERS || self.size > HEADERS {
            return Err("its PE headers are too long to stand behind the script");
        }
        let shift = HEADERS - self.size;
        if !shift
            .is_multiple_of(u64::from(self.view.u32(self.optional + 36).ok_or(damaged)?.max(1)))
        {
            return Err("the size of its PE headers is not aligned");
        }
        let first = self.section_headers().map(|header| self.view.u32(header + 12)).min().flatten();
        if first.is_none_or(|address| u64::from(address) < HEADERS) {
            return Err("its first PE section begins too early in memory");
        }

        let mut out = front.to_vec();
        out.resize(at as usize, 0);
        out.extend_from_slice(self.view.bytes(self.at, headers_len).ok_or(damaged)?);
        out.resize(HEADERS as usize, 0);
        out.extend_from_slice(exe.get(self.size as usize..).ok_or(damaged)?);
        self.adjust(&mut out, at, shift as u32).ok_or(damaged)?;
        Ok(out)
    }

    /// Corrects what says where things are in the file; `at` is the new place of the signature.
    fn adjust(&self, out: &mut [u8], at: u64, shift: u32) -> Option<()> {
        put_u32(out, OFFSET_FIELD, u32::try_from(at).ok()?)?;
        let moved = |offset: u64| offset - self.at + at;
        // Symbols are for debuggers, and a checksum counts for drivers only.
        put_u32(out, moved(self.at + 12), 0)?;
        put_u32(out, moved(self.at + 16), 0)?;
        put_u32(out, moved(self.optional + 60), HEADERS as u32)?;
        put_u32(out, moved(self.optional + 64), 0)?;
        for header in self.section_headers() {
            let offset = self.view.u32(header + 20)?;
            if offset != 0 {
                put_u32(out, moved(header + 20), offset.checked_add(shift)?)?;
            }
        }
        // Signatures are over the old file, and bound imports lie among the headers.
        for index in [CERTIFICATES, BOUND_IMPORTS] {
            if let Some(entry) = self.directory(index) {
                put_u32(out, moved(entry), 0)?;
                put_u32(out, moved(entry + 4), 0)?;
            }
        }
        self.adjust_debug(out, shift)
    }

    /// Entries of the debug directory have an offset in the file, too.
    fn adjust_debug(&self, out: &mut [u8], shift: u32) -> Option<()> {
        let Some(directory) = self.directory(DEBUG) else { return Some(()) };
        let (address, len) = (self.view.u32(directory)?, self.view.u32(directory + 4)?);
        if address == 0 {
            return Some(());
        }
        let offset = self.offset_of(address)?;
        for index in 0..u64::from(len) / DEBUG_ENTRY {
            let field = offset + index * DEBUG_ENTRY + 24;
            let pointer = self.view.u32(field)?;
            if pointer != 0 {
                put_u32(out, field + u64::from(shift), pointer.checked_add(shift)?)?;
            }
        }
        Some(())
    }

    /// The offset in the file of an address in memory.
    fn offset_of(&self, address: u32) -> Option<u64> {
        self.section_headers().find_map(|header| {
            let start = self.view.u32(header + 12)?;
            let (len, offset) = (self.view.u32(header + 16)?, self.view.u32(header + 20)?);
            let within = address.checked_sub(start).filter(|within| *within < len)?;
            Some(u64::from(offset) + u64::from(within))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXE: &[u8] = include_bytes!("../tests/data/engines/llamafile-windows-x86_64.exe");

    #[test]
    fn what_can_not_stand_behind_a_script() {
        let moved = |front: &[u8], change: &dyn Fn(&mut Vec<u8>)| {
            let mut exe = EXE.to_vec();
            change(&mut exe);
            behind(front, &exe).err().unwrap_or("moved")
        };
        let front = [b'\n'; 0x100];
        let at = View(EXE).u32(OFFSET_FIELD).unwrap() as usize;
        let optional = at + FILE_HEADER as usize;
        assert_eq!(moved(&front, &|_| {}), "moved");
        assert!(moved(&[b'\n'; 0xf00], &|_| {}).contains("too long"));
        assert!(moved(&front, &|exe| exe[optional + 60] = 1).contains("not aligned"));
        assert!(moved(&front, &|exe| exe[optional + 62] = 1).contains("too long"));
        let section = at + FILE_HEADER as usize + 240;
        assert!(moved(&front, &|exe| exe[section + 13] = 0).contains("too early"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..<_>::default() })]

        #[test]
        fn altered_executables_never_panic(
            changes in prop::collection::vec((0..EXE.len(), any::<u8>()), 1..6),
            front in 64..0x1100usize,
        ) {
            let mut exe = EXE.to_vec();
            for (at, value) in changes {
                exe[at] = value;
            }
            if let Ok(moved) = behind(&vec![b'\n'; front], &exe) {
                prop_assert!(moved.len() as u64 >= HEADERS);
            }
            let resource = Resource { kind: 3, id: 1, language: 0, data: vec![1; 100] };
            if let Ok(with) = with_resources(&exe, &[resource]) {
                prop_assert!(with.len() > exe.len());
                let _ = resources(&with);
            }
        }
    }
}

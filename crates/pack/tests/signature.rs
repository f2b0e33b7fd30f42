//! Executables for macOS are signed, which another parser (the crate `object`) confirms.

mod common;

use common::engine_folder;
use object::macho::{self, MachHeader64, SegmentCommand64};
use object::read::macho::{LoadCommandVariant, MachHeader, Segment};
use object::{Endianness, pod};
use pack::Engine;
use sha2::{Digest, Sha256};

/// The load commands that a signature is told by.
struct Parsed {
    text: SegmentCommand64<Endianness>,
    linkedit: SegmentCommand64<Endianness>,
    /// Offset and size.
    signature: Option<(usize, usize)>,
}

fn parse(exe: &[u8]) -> Parsed {
    let header = MachHeader64::<Endianness>::parse(exe, 0).unwrap();
    let endian = header.endian().unwrap();
    let mut commands = header.load_commands(endian, exe, 0).unwrap();
    let (mut segments, mut signature) = (Vec::new(), None);
    while let Some(command) = commands.next().unwrap() {
        match command.variant().unwrap() {
            LoadCommandVariant::Segment64(segment, _) => segments.push(*segment),
            LoadCommandVariant::LinkeditData(data) if command.cmd() == macho::LC_CODE_SIGNATURE => {
                let field = |value: object::U32<Endianness>| value.get(endian) as usize;
                signature = Some((field(data.dataoff), field(data.datasize)));
            }
            _ => {}
        }
    }
    let named = |name: &[u8]| *segments.iter().find(|segment| segment.name() == name).unwrap();
    Parsed { text: named(b"__TEXT"), linkedit: named(b"__LINKEDIT"), signature }
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(engine_folder().join(name)).unwrap()
}

fn be(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// The executable without its signature, as other linkers leave it.
fn unsigned(mut exe: Vec<u8>) -> Vec<u8> {
    let endian = Endianness::Little;
    let Parsed { mut linkedit, signature, .. } = parse(&exe);
    let (offset, _) = signature.unwrap();
    exe.truncate(offset);
    let start = linkedit.fileoff.get(endian);
    let old = pod::bytes_of(&linkedit).to_vec();
    linkedit.filesize.set(endian, offset as u64 - start);
    let at = exe.windows(old.len()).position(|bytes| bytes == old).unwrap();
    exe[at..at + old.len()].copy_from_slice(pod::bytes_of(&linkedit));
    let commands = u32::from_le_bytes(exe[20..24].try_into().unwrap());
    let last = 32 + commands as usize - 16;
    assert_eq!(exe[last..last + 4], macho::LC_CODE_SIGNATURE.0.to_le_bytes(), "the last command");
    exe[last..last + 16].fill(0);
    exe[20..24].copy_from_slice(&(commands - 16).to_le_bytes());
    exe[16] -= 1;
    exe
}

#[test]
fn unsigned_executables_are_signed() {
    let endian = Endianness::Little;
    let arm = unsigned(file("llamafile-macos-aarch64"));
    for exe in [arm, file("llamafile-macos-x86_64")] {
        assert!(parse(&exe).signature.is_none());
        let signed = Engine::new("x", exe.clone()).unwrap().executable().to_vec();
        let Parsed { text, linkedit, signature } = parse(&signed);
        let (offset, size) = signature.unwrap();
        assert_eq!(offset, exe.len().next_multiple_of(16));
        assert_eq!(offset + size, signed.len(), "it is the end of the file");
        let (start, len) = linkedit.file_range(endian);
        assert_eq!(start + len, signed.len() as u64, "it is the end of the last segment");
        assert!(linkedit.vmsize.get(endian) >= len);

        let blob = &signed[offset..];
        assert_eq!([be(blob, 0), be(blob, 4), be(blob, 8)], [0xfade_0cc0, size, 1]);
        let directory = &blob[be(blob, 16)..];
        assert_eq!(be(directory, 0), 0xfade_0c02);
        assert_eq!(be(directory, 12), 0x2_0002, "ad hoc, by a linker");
        assert_eq!(be(directory, 32), offset, "everything before it is covered");
        let main = [64, 72, 80].map(|at| (be(directory, at), be(directory, at + 4)));
        let text = text.filesize.get(endian) as usize;
        assert_eq!(main, [(0, 0), (0, text), (0, 1)]);
        assert!(directory[be(directory, 20)..].starts_with(b"llamafile\0"));
        let hashes = directory[be(directory, 16)..].chunks_exact(32);
        let pages = signed[..offset].chunks(4096);
        assert_eq!((hashes.len(), pages.len()), (pages.len(), be(directory, 28)));
        for (page, hash) in pages.zip(hashes) {
            assert_eq!(Sha256::digest(page)[..], *hash);
        }
        assert!(signed[0x1000..exe.len()] == exe[0x1000..], "the program stays as it is");
    }
}

#[test]
fn what_is_signed_stays_as_it_is_and_is_checked() {
    let exe = file("llamafile-macos-aarch64");
    assert!(Engine::new("x", exe.clone()).unwrap().executable() == exe);
    let signed = Engine::new("x", file("llamafile-macos-x86_64")).unwrap().executable().to_vec();
    assert!(Engine::new("x", signed.clone()).unwrap().executable() == signed);
    for at in [0x1800, signed.len() / 2, parse(&signed).signature.unwrap().0 - 1] {
        let mut changed = signed.clone();
        changed[at] ^= 1;
        let error = Engine::new("x", changed).unwrap_err().to_string();
        assert!(error.contains("changed after it was signed"), "{at}: {error}");
    }
}

#[test]
fn what_can_not_be_signed() {
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut exe = unsigned(file("llamafile-macos-aarch64"));
        change(&mut exe);
        Engine::new("x", exe).unwrap_err().to_string()
    };
    let renamed = |exe: &mut Vec<u8>| {
        let at = exe.windows(10).position(|bytes| bytes == b"__LINKEDIT").unwrap();
        exe[at] = b'x';
    };
    assert!(refused(&renamed).contains("no __LINKEDIT"));
    // The first section directly behind the load commands.
    let full = |exe: &mut Vec<u8>| {
        let end = 32 + u32::from_le_bytes(exe[20..24].try_into().unwrap());
        let at = exe.windows(7).position(|bytes| bytes == b"__text\0").unwrap();
        exe[at + 48..at + 52].copy_from_slice(&end.to_le_bytes());
    };
    assert!(refused(&full).contains("no room for a signature"));
}

//! Files that were cut off, altered or made to deceive.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{folder, packed};
use pack::{Archive, Form, Target};
use proptest::prelude::*;

/// Offsets of things in a file without ZIP64.
struct Places {
    /// The end record.
    end: usize,
    /// The first record of the list of members.
    list: usize,
    /// Records of the list, by member.
    records: Vec<(String, usize)>,
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn places(bytes: &[u8]) -> Places {
    let end = bytes.len() - 22;
    let list = u32_at(bytes, end + 16);
    let mut records = Vec::new();
    let mut at = list;
    while at < end {
        let name = usize::from(bytes[at + 28]);
        let text = String::from_utf8(bytes[at + 46..at + 46 + name].to_vec()).unwrap();
        records.push((text, at));
        at += 46 + name + usize::from(bytes[at + 30]);
    }
    Places { end, list, records }
}

/// What a change of a good file leads to when it is opened and, if that works, verified.
fn opened(path: &Path, bytes: &[u8]) -> String {
    fs::write(path, bytes).unwrap();
    match Archive::open(path) {
        Err(error) => format!("open: {error}"),
        Ok(archive) => match archive.verify(&mut |_, _| {}) {
            Err(error) => format!("verify: {error}"),
            Ok(_) => "whole".into(),
        },
    }
}

fn good(name: &str) -> (PathBuf, Vec<u8>) {
    let folder = folder(name);
    let file = packed(&folder, "m", Form::Unix);
    let bytes = fs::read(&file).unwrap();
    (folder.join("bad"), bytes)
}

#[test]
fn each_damage_is_named() {
    let (path, good) = good("damage");
    let Places { end, list, records } = places(&good);
    let record = |name: &str| records.iter().find(|(other, _)| other == name).unwrap().1;
    let (model, other) = (record("a b.gguf"), record("c.gguf"));
    let local = u32_at(&good, model + 42);
    let put = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    let cut = |len: usize| good[..len].to_vec();
    let same = |from: usize, to: usize, len: usize| put(to, &good[from..from + len]);
    let extended = [&good[..], b"\0"].concat();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", good.clone(), "whole"),
        ("empty", vec![], "open: there is no list"),
        ("cut in the weights", cut(list - 100_000), "open: there is no list"),
        ("cut in the list", cut(list + 10), "open: there is no list"),
        ("cut in the end", cut(end + 21), "open: there is no list"),
        ("longer", extended, "open: there is no list"),
        ("list outside", put(end + 16, &[0xff, 0xff, 0xff, 0x7f]), "end of central directory"),
        ("list elsewhere", put(end + 16, &[0, 0, 0, 0]), "its header"),
        ("more members", put(end + 10, &[99]), "not as many as it says"),
        ("header outside", put(model + 42, &[0xff, 0xff, 0xff, 0x7f]), "its header"),
        ("header elsewhere", put(model + 42, &[1, 2, 0, 0]), "its header"),
        ("two members, one place", same(model + 42, other + 42, 4), "its header has another name"),
        ("size", put(model + 24, &[1]), "its two sizes differ"),
        ("both sizes", put(model + 20, &[1, 0, 0, 0, 1, 0, 0, 0]), "its header has other sizes"),
        ("absurd size", put(model + 20, &[0xfe; 8]), "ends behind the list"),
        ("compression", put(model + 10, &[12]), "compressed in an unknown way"),
        ("encryption", put(model + 8, &[1]), "encrypted"),
        ("name in the list", put(model + 46, b"x"), "its header has another name"),
        ("traversal", put(model + 46, b"../gguf"), "the name \"../gguff\""),
        ("absolute", put(model + 46, b"/"), "is not relative"),
        ("drive", put(model + 46, b"C:"), "is not relative"),
        ("backslash", put(model + 46, b"a\\"), "backslash"),
        ("control character", put(model + 46, b"a\n"), "control character"),
        ("not UTF-8", put(model + 46, b"\xff"), "not UTF-8"),
        ("signature of a header", put(local, b"PX"), "its header"),
        ("CRC", put(model + 16, &[1, 2, 3, 4]), "verify: bad: a b.gguf: 300000 bytes with"),
        ("weights", put(list - 200_000, b"!!"), "verify: bad: a b.gguf: 300000 bytes with"),
        ("script", put(100, b"rm -r"), "verify: bad: its front was changed"),
        ("zeros behind the script", put(60_000, b"x"), "verify: bad: its front was changed"),
    ];
    for (what, bytes, expected) in cases {
        let found = opened(&path, &bytes).replace(path.to_str().unwrap(), "bad");
        let found = found.replace("open: bad: ", "open: ");
        assert!(found.contains(expected), "{what}: {found}");
    }
}

/// Two members whose headers are their own and whose data is shared.
#[test]
fn overlapping_members_are_refused() {
    let (path, mut bytes) = good("overlap");
    let places = places(&bytes);
    let record = |name: &str| places.records.iter().find(|(other, _)| other == name).unwrap().1;
    let (first, second) = (record("a b.gguf"), record("c.gguf"));
    let (local, next) = (u32_at(&bytes, first + 42), u32_at(&bytes, second + 42));
    let size = ((next - local) as u32 + 100).to_le_bytes();
    for at in [first + 20, first + 24, local + 18, local + 22] {
        bytes[at..at + 4].copy_from_slice(&size);
    }
    let found = opened(&path, &bytes);
    assert!(found.contains("the members a b.gguf and c.gguf overlap"), "{found}");
}

#[test]
fn hashes_notice_what_checksums_do_not() {
    let (path, bytes) = good("hashes");
    let archive_of = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        Archive::open(&path).unwrap()
    };
    let range = archive_of(&bytes).entry(".llamafile/SHA256SUMS").unwrap().range().unwrap();
    let text = String::from_utf8(bytes[range.start as usize..range.end as usize].to_vec()).unwrap();
    // A list that the checksum fits, but one hash does not.
    let line = text.lines().find(|line| line.ends_with("  a b.gguf")).unwrap();
    let other = text.replacen(&line[..4], "0000", 1);
    let mut changed = bytes.clone();
    changed[range.start as usize..range.end as usize].copy_from_slice(other.as_bytes());
    let mut crc = flate2::Crc::new();
    crc.update(other.as_bytes());
    let record = places(&bytes).records.last().unwrap().1;
    changed[record + 16..record + 20].copy_from_slice(&crc.sum().to_le_bytes());
    let error = archive_of(&changed).verify(&mut |_, _| {}).unwrap_err().to_string();
    assert!(error.contains("a b.gguf does not have its SHA-256"), "{error}");
}

#[test]
fn a_cut_executable_is_told_from_a_plain_one() {
    let folder = folder("cut");
    let linux = Form::Native(Target::from_name("linux-x86_64").unwrap());
    let bytes = fs::read(packed(&folder, "m", linux)).unwrap();
    let plain = common::engine("linux-x86_64").len();
    let path = folder.join("cut");
    let cut_off = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        pack::is_cut_off(&path).unwrap()
    };
    assert!(!cut_off(&bytes[..plain]), "no more than an executable");
    for len in [plain - 1, plain + 1, 60_000, 70_000, bytes.len() - 400_000, bytes.len() - 1] {
        assert!(cut_off(&bytes[..len]), "{len} bytes");
    }
    assert!(!cut_off(&[&bytes[..plain], b"debug information"].concat()));
    assert!(!cut_off(b"something else"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..<_>::default() })]

    /// Whatever happens to the list of members: an error or a file that reads, never a panic.
    #[test]
    fn altered_lists_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        use std::sync::OnceLock;
        static GOOD: OnceLock<(PathBuf, Vec<u8>)> = OnceLock::new();
        let (path, bytes) = GOOD.get_or_init(|| good("altered"));
        let list = places(bytes).list;
        let mut bytes = bytes.clone();
        for (place, value) in changes {
            let at = list + place.index(bytes.len() - list);
            bytes[at] = value;
        }
        let found = opened(path, &bytes);
        prop_assert!(found == "whole" || found.contains("bad"), "{}", found);
    }

    /// Executables may be anything, too.
    #[test]
    fn altered_executables_never_panic(
        which in 0..6usize,
        changes in prop::collection::vec((0..1024usize, any::<u8>()), 1..6),
    ) {
        let engine = &common::engines()[which];
        let mut executable = engine.executable().to_vec();
        for (at, value) in changes {
            executable[at] = value;
        }
        if let Ok(engine) = pack::Engine::new("x", executable) {
            prop_assert!(!engine.executable().is_empty());
        }
    }
}

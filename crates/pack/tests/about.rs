//! What Windows shows of a file, as another parser (the crate `object`) finds it.

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::{engine_folder, folder, packed_with};
use object::Object;
use object::read::pe::{PeFile64, ResourceDirectoryEntryData};
use pack::{About, Archive, Engine, Form, Icon, Target};

/// An icon file with two images: a PNG and a bitmap, as far as their first bytes go.
fn ico() -> (Vec<u8>, [Vec<u8>; 2]) {
    let images = [b"\x89PNG and so on".to_vec(), [&[40, 0, 0, 0][..], &[7; 64]].concat()];
    let mut bytes = [0u16, 1, 2].map(u16::to_le_bytes).concat();
    let mut offset = 6 + 2 * 16;
    for (image, size) in images.iter().zip([0, 16]) {
        bytes.extend([size, size, 0, 0, 1, 0, 32, 0]);
        bytes.extend((image.len() as u32).to_le_bytes());
        bytes.extend((offset as u32).to_le_bytes());
        offset += image.len();
    }
    bytes.extend(images.concat());
    (bytes, images)
}

fn about() -> About {
    let icon = Icon::new("sky.ico", &ico().0).unwrap();
    let (name, version) = ("Sky Ω".parse().unwrap(), "1.2.3".parse().unwrap());
    About { icon: Some(icon), name: Some(name), version: Some(version) }
}

/// All resources, by kind and number.
fn resources(exe: &[u8]) -> BTreeMap<(u16, u16), Vec<u8>> {
    let file = PeFile64::parse(exe).unwrap();
    let sections = file.section_table();
    let directories = file.data_directories();
    let Some(root) = directories.resource_directory(exe, &sections).unwrap() else {
        return BTreeMap::new();
    };
    let mut found = BTreeMap::new();
    let level = |data| match data {
        ResourceDirectoryEntryData::Table(table) => table,
        ResourceDirectoryEntryData::Data(_) => panic!("three levels"),
    };
    for kind in root.root().unwrap().entries {
        for id in level(kind.data(root).unwrap()).entries {
            for language in level(id.data(root).unwrap()).entries {
                let data: ResourceDirectoryEntryData<'_> = language.data(root).unwrap();
                let place = data.data().unwrap();
                let at = place.offset_to_data.get(object::LittleEndian);
                let len = place.size.get(object::LittleEndian) as usize;
                let bytes = &sections.pe_data_at(exe, at).unwrap()[..len];
                let number = |entry: &object::pe::ImageResourceDirectoryEntry| {
                    entry.name_or_id().id().unwrap()
                };
                found.insert((number(kind), number(id)), bytes.to_vec());
            }
        }
    }
    found
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn windows_shows_icon_name_and_version() {
    let bare = fs::read(engine_folder().join("llamafile-windows-x86_64.exe")).unwrap();
    assert_eq!(resources(&bare), BTreeMap::new());
    let engine = Engine::new("x", bare.clone()).unwrap().described(&about()).unwrap();
    let found = resources(engine.executable());
    let images = ico().1;
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [(3, 1), (3, 2), (14, 1), (16, 1)]);
    assert_eq!([&found[&(3, 1)], &found[&(3, 2)]], [&images[0], &images[1]]);
    let group = &found[&(14, 1)];
    assert_eq!(group[..6], [0, 0, 1, 0, 2, 0]);
    assert_eq!(group[6..20], [0, 0, 0, 0, 1, 0, 32, 0, images[0].len() as u8, 0, 0, 0, 1, 0]);
    assert_eq!(group[20..34], [16, 16, 0, 0, 1, 0, 32, 0, 68, 0, 0, 0, 2, 0]);

    let version = &found[&(16, 1)];
    let has = |text: &str| version.windows(utf16(text).len()).any(|bytes| bytes == utf16(text));
    assert_eq!(usize::from(u16::from_le_bytes([version[0], version[1]])), version.len());
    assert!(has("VS_VERSION_INFO") && has("040904B0") && has("Translation"));
    assert!(has("ProductName") && has("Sky Ω") && has("FileVersion") && has("1.2.3.0"));
    assert_eq!(version[40..44], 0xfeef_04bd_u32.to_le_bytes());
    assert_eq!(version[48..56], [2, 0, 1, 0, 0, 0, 3, 0]);

    // Sections stay as they are, and the new one lies behind them.
    let parse = |exe| PeFile64::parse(exe).unwrap();
    let (old, new) = (parse(&bare[..]), parse(engine.executable()));
    assert_eq!(old.entry(), new.entry());
    assert_eq!(new.section_table().len(), old.section_table().len() + 1);
    let (optional, last) =
        (&new.nt_headers().optional_header, new.section_table().iter().last().unwrap());
    let end = last.virtual_address.get(object::LittleEndian)
        + last.virtual_size.get(object::LittleEndian);
    assert_eq!(optional.size_of_image.get(object::LittleEndian), end.next_multiple_of(0x1000));

    // Given once more, the same; given anew, the last.
    let again = engine.clone().described(&about()).unwrap();
    assert_eq!(resources(again.executable()), found);
    let named = About { name: Some("Other".parse().unwrap()), ..About::default() };
    let named = resources(engine.described(&named).unwrap().executable());
    assert!(named.len() == 4 && named[&(16, 1)] != found[&(16, 1)]);
}

#[test]
fn it_is_kept_whatever_the_front_and_the_engine() {
    let folder = folder("about");
    let engines: Vec<Engine> =
        common::engines().into_iter().map(|engine| engine.described(&about()).unwrap()).collect();
    let expected = resources(
        engines.iter().find(|engine| engine.target() == Target::WINDOWS).unwrap().executable(),
    );
    let file = packed_with(&folder, "m", Form::Portable, &engines);
    let read = || resources(&fs::read(&file).unwrap());
    assert_eq!(read(), expected, "behind the script");
    pack::retarget(&file, Form::Native(Target::WINDOWS), None).unwrap();
    assert_eq!(read(), expected, "in a native file");
    pack::upgrade(&file, &common::engines(), None, None, &mut |_, _| {}).unwrap();
    assert_eq!(read(), expected, "with another engine");
    Archive::open(&file).unwrap().verify(&mut |_, _| {}).unwrap();
}

#[test]
fn what_can_not_be_shown() {
    let refused = |bytes: &[u8]| Icon::new("x.ico", bytes).unwrap_err().to_string();
    let good = ico().0;
    assert!(refused(b"\x89PNG").contains("expected a file in the format .ico"));
    assert!(refused(&[0, 0, 1, 0, 0, 0]).contains("no image"));
    // Nine entries for the same two megabytes.
    let image = [&b"\x89PNG"[..], &vec![0; 2 << 20]].concat();
    let entry = [[0; 8], (image.len() as u64 | (6 + 9 * 16) << 32).to_le_bytes()].concat();
    assert!(
        refused(&[&[0, 0, 1, 0, 9, 0], &entry.repeat(9)[..], &image].concat()).contains("16 MB")
    );
    for len in 6..good.len() {
        assert!(refused(&good[..len]).contains("damaged"), "{len}");
    }
    for version in ["", "1.2.3.4.5", "65536", "1.x", "-1", "1..2"] {
        assert!(version.parse::<pack::Version>().is_err(), "{version}");
    }
    assert!("a\nb".parse::<pack::Name>().is_err() && "".parse::<pack::Name>().is_err());

    // An executable with certificates would no longer be what was signed.
    let mut exe = common::engine("windows-x86_64");
    let end = exe.len() as u32;
    exe.extend([0; 8]);
    let at = 0x78 + 24 + 112 + 8 * 4;
    exe[at..at + 4].copy_from_slice(&end.to_le_bytes());
    exe[at + 4] = 8;
    let error = Engine::new("x", exe).unwrap().described(&about()).unwrap_err().to_string();
    assert!(error.contains("sign it afterwards"), "{error}");
}

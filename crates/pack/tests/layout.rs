//! What is where in a file, as other programs see it.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{ARGS, engine, engines, folder, packed, weights};
use pack::{Archive, Contents, Form, Source, Target};

#[test]
fn members_are_stored_and_aligned() {
    let folder = folder("members");
    let file = packed(&folder, "m.llamafile", Form::Portable);
    let bytes = fs::read(&file).unwrap();
    let archive = Archive::open(&file).unwrap();
    let names: Vec<&str> = archive.entries().iter().map(pack::Entry::name).collect();
    let engines = [
        "unpack-linux-x86_64.gz",
        "unpack-macos-x86_64.gz",
        "unpack-freebsd-x86_64.gz",
        "x86_64.xz",
        "unpack-linux-aarch64.gz",
        "unpack-macos-aarch64.gz",
        "aarch64.xz",
    ]
    .map(|name| format!(".llamafile/engines/{name}"));
    assert_eq!(names[..7], engines);
    assert_eq!(names[7..], [".args", "a b.gguf", "c.gguf", ".llamafile/SHA256SUMS"]);
    for (name, len, seed) in [("a b.gguf", 300_000, 1), ("c.gguf", 70_001, 2)] {
        let range = archive.entry(name).unwrap().range().unwrap();
        assert_eq!(range.start % (64 << 10), 0);
        assert_eq!(bytes[range.start as usize..range.end as usize], weights(len, seed));
    }
    assert_eq!(pack::args::of_archive(&archive).unwrap().unwrap(), ARGS);
}

#[test]
fn equal_contents_make_equal_files() {
    let folder = folder("reproducible");
    let first = packed(&folder, "1", Form::Portable);
    let second = packed(&folder, "2", Form::Portable);
    assert_eq!(fs::read(first).unwrap(), fs::read(second).unwrap());
    let mut left: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["1", "2", "a b.gguf", "c.gguf"], "no unfinished files");
}

/// Runs a program that may not be installed.
fn run(program: &str, arguments: &[&str], file: &Path) -> Option<String> {
    let output = Command::new(program).args(arguments).arg(file).output().ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {out}{err}");
    // 7-Zip tells that there is something before the members, and goes on.
    let warns = format!("{out}{err}").to_lowercase().contains("warning") && program != "7z";
    assert!(!warns, "{program}: {out}{err}");
    Some(out)
}

#[test]
fn zip_tools_read_it() {
    let folder = folder("tools");
    for form in [Form::Portable, Form::Unix, Form::Native(Target::WINDOWS)] {
        let file = packed(&folder, "m.zip", form);
        let script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); \
                      assert z.testzip() is None; print(z.namelist(), len(z.read('a b.gguf')))";
        let outputs = [
            run("unzip", &["-l"], &file),
            run("unzip", &["-tq"], &file).map(|_| "a b.gguf 300000".into()),
            run("python3", &["-c", script], &file),
            run("7z", &["t"], &file).map(|_| "a b.gguf 300000".into()),
            run("bsdtar", &["-tvf"], &file),
        ];
        for output in outputs.into_iter().flatten() {
            assert!(output.contains("a b.gguf") && output.contains("300000"), "{output}");
        }
    }
}

#[test]
fn windows_sees_the_same_program_behind_the_script() {
    use object::read::pe::PeFile64;
    use object::{Object, ObjectSection};

    let folder = folder("pe");
    let file = packed(&folder, "m.llamafile", Form::Portable);
    let (portable, original) = (fs::read(&file).unwrap(), engine("windows-x86_64"));
    assert!(portable.starts_with(b"MZllama='\n"));
    let (portable, original) =
        (PeFile64::parse(&*portable).unwrap(), PeFile64::parse(&*original).unwrap());
    assert_eq!(portable.entry(), original.entry());
    assert_eq!(portable.relative_address_base(), original.relative_address_base());
    let header = &portable.nt_headers().optional_header;
    assert_eq!(header.size_of_headers.get(object::LittleEndian), 0x1000);
    assert_eq!(portable.imports().unwrap().count(), original.imports().unwrap().count());
    let sections = |file: &PeFile64<'_>| {
        let section = |section: object::read::pe::PeSection64<'_, '_>| {
            let (offset, _) = section.file_range().unwrap_or_default();
            (section.address(), section.data().unwrap().to_vec(), offset % 512)
        };
        file.sections().map(section).collect::<Vec<_>>()
    };
    assert_eq!(sections(&portable), sections(&original));
    assert!(sections(&portable).iter().any(|(_, data, _)| !data.is_empty()));
}

#[test]
fn every_form_takes_the_place_of_every_other() {
    let folder = folder("retarget");
    let file = packed(&folder, "m.llamafile", Form::Portable);
    let original = fs::read(&file).unwrap();
    let mut forms: Vec<Form> =
        engines().iter().map(|engine| Form::Native(engine.target())).collect();
    forms.extend([Form::Unix, Form::Portable]);
    for form in forms {
        pack::retarget(&file, form, None).unwrap();
        assert_eq!(pack::form(&file).unwrap(), form);
        let bytes = fs::read(&file).unwrap();
        if let Form::Native(target) = form {
            let engine = engine(target.name());
            assert_eq!(bytes[..engine.len()], engine);
            parse(&bytes, target);
        }
        assert_eq!(bytes.len(), original.len());
        Archive::open(&file).unwrap().verify(&mut |_, _| {}).unwrap();
        let copy = folder.join("copy");
        pack::retarget(&file, Form::Portable, Some(&copy)).unwrap();
        assert!(fs::read(&copy).unwrap() == original, "from {}", form.name());
    }
}

/// Another parser finds a whole executable with all of its data in the file.
fn parse(bytes: &[u8], target: Target) {
    use object::{Architecture, BinaryFormat, Object, ObjectSegment};

    let file = object::File::parse(bytes).unwrap();
    let (format, architecture) = match target.name() {
        "linux-x86_64" | "freebsd-x86_64" => (BinaryFormat::Elf, Architecture::X86_64),
        "linux-aarch64" => (BinaryFormat::Elf, Architecture::Aarch64),
        "macos-aarch64" => (BinaryFormat::MachO, Architecture::Aarch64),
        "macos-x86_64" => (BinaryFormat::MachO, Architecture::X86_64),
        _ => (BinaryFormat::Pe, Architecture::X86_64),
    };
    assert_eq!((file.format(), file.architecture()), (format, architecture), "{target}");
    for segment in file.segments() {
        let (offset, len) = segment.file_range();
        assert!(offset + len <= bytes.len() as u64);
        assert!(segment.data().is_ok());
    }
}

#[test]
fn engines_are_swapped_in_place() {
    let folder = folder("upgrade");
    let file = packed(&folder, "m.llamafile", Form::Portable);
    let before = Archive::open(&file).unwrap();
    let newer: Vec<_> = engines().into_iter().take(2).collect();
    let linux = Some(Form::Native(newer[0].target()));
    pack::upgrade(&file, &newer, linux, None, &mut |_, _| {}).unwrap();
    let after = Archive::open(&file).unwrap();
    assert_eq!(pack::engine::from_archive(&after).unwrap().len(), 2);
    assert_eq!(after.entry("a b.gguf").unwrap(), before.entry("a b.gguf").unwrap());
    let verified = after.verify(&mut |_, _| {}).unwrap();
    assert!(verified.members.iter().all(|(name, _, listed)| *listed || name.contains("SUMS")));

    let missing = pack::retarget(&file, Form::Portable, None).unwrap_err().to_string();
    assert!(missing.contains("windows-x86_64") && missing.contains("linux-aarch64"), "{missing}");
    pack::upgrade(&file, &engines(), Some(Form::Portable), None, &mut |_, _| {}).unwrap();
    let same = packed(&folder, "same", Form::Portable);
    assert!(fs::read(&file).unwrap() == fs::read(same).unwrap());
}

#[test]
fn engines_that_do_not_fit_move_the_weights() {
    let folder = folder("larger");
    let few: Vec<_> = engines().into_iter().take(1).collect();
    let form = Form::Native(few[0].target());
    let file = common::packed_with(&folder, "m", form, &few);
    let engines = large_engines();
    let mut heard = vec![(0, 0)];
    let progress = &mut |done, total| heard.push((done, total));
    pack::upgrade(&file, &engines, Some(form), None, progress).unwrap();
    assert!(heard.is_sorted(), "{heard:?}");
    let total =
        engines.iter().map(|engine| engine.executable().len() as u64).sum::<u64>() + 370_001;
    assert_eq!(heard.last(), Some(&(total, total)));
    let archive = Archive::open(&file).unwrap();
    archive.verify(&mut |_, _| {}).unwrap();
    let range = archive.entry("c.gguf").unwrap().range().unwrap();
    let bytes = fs::read(&file).unwrap();
    assert_eq!(bytes[range.start as usize..range.end as usize], weights(70_001, 2));
    assert_eq!(pack::args::of_archive(&archive).unwrap().unwrap(), ARGS);
}

/// The Linux stand-in with a megabyte in its last segment.
fn large_engines() -> Vec<pack::Engine> {
    let mut executable = engine("linux-x86_64");
    executable.resize(1 << 20, 0);
    // Where section headers begin: they count as the executable's end.
    let sections = (executable.len() as u64 - 64).to_le_bytes();
    executable[40..48].copy_from_slice(&sections);
    executable[58..62].copy_from_slice(&[64, 0, 1, 0]);
    vec![pack::Engine::new("large", executable).unwrap()]
}

#[test]
fn files_of_the_original_project_get_new_engines() {
    let folder = folder("original");
    let script = r#"
import sys, zipfile
with open(sys.argv[1], "wb") as out: out.write(b"MZqFpD='\n" + b"engine " * 200000)
with zipfile.ZipFile(sys.argv[1], "a", zipfile.ZIP_STORED) as z:
    z.writestr("usr/share/zoneinfo/UTC", b"zone")
    z.writestr("llama.cpp/server/public/index.html", b"<p>" * 1000, zipfile.ZIP_DEFLATED)
    z.writestr("model.gguf", b"weights" * 30000)
    z.writestr(".args", b"-m\nmodel.gguf\n...\n", zipfile.ZIP_DEFLATED)
"#;
    let file = folder.join("old.llamafile");
    let made = Command::new("python3").args(["-c", script]).arg(&file).status();
    if !made.is_ok_and(|status| status.success()) {
        return; // No Python here to make such a file.
    }
    let old = Archive::open(&file).unwrap();
    let place = old.entry("model.gguf").unwrap().clone();
    assert_eq!(pack::args::of_archive(&old).unwrap().unwrap(), "-m\nmodel.gguf\n...\n");
    old.verify(&mut |_, _| {}).unwrap();

    for output in [Some(folder.join("new.llamafile")), None] {
        pack::upgrade(&file, &engines(), None, output.as_deref(), &mut |_, _| {}).unwrap();
        let new = Archive::open(output.as_deref().unwrap_or(&file)).unwrap();
        assert_eq!(new.entry("model.gguf").unwrap(), &place, "weights are untouched");
        assert!(new.entry("usr/share/zoneinfo/UTC").is_none());
        assert_eq!(pack::form(new.path()).unwrap(), Form::Portable);
        new.verify(&mut |_, _| {}).unwrap();
        assert_eq!(pack::args::of_archive(&new).unwrap().unwrap(), "-m\nmodel.gguf\n...\n");
    }
}

#[test]
fn what_was_packed_is_unpacked() {
    let folder = folder("unpack");
    let file = packed(&folder, "m", Form::Unix);
    let archive = Archive::open(&file).unwrap();
    let out = folder.join("out");
    let files = pack::unpack(&archive, &out, &mut |_, _| {}).unwrap();
    assert_eq!(files.len(), archive.entries().len());
    assert_eq!(fs::read(out.join("c.gguf")).unwrap(), weights(70_001, 2));
    let again = pack::unpack(&archive, &out, &mut |_, _| {}).unwrap_err().to_string();
    assert!(again.contains("cannot create"), "files that exist are kept: {again}");
}

#[test]
fn what_can_not_be_packed() {
    let folder = folder("refused");
    let engines = engines();
    let weights = folder.join("w.gguf");
    fs::write(&weights, b"w").unwrap();
    let source = Source::file(&weights).unwrap();
    let refused = |form, members| {
        let contents = Contents { form, engines: &engines[..1], args: None, members };
        let error = pack::pack(&contents, &folder.join("out"), &mut |_, _| {}).unwrap_err();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left behind");
        error.to_string()
    };
    assert!(refused(Form::Portable, vec![]).contains("no engine for windows-x86_64"));
    let twice = vec![source.clone(), source.clone()];
    assert!(refused(Form::Unix, twice).contains("stored twice"));
    let outside = Source { name: "../w".into(), ..source.clone() };
    assert!(refused(Form::Unix, vec![outside]).contains("\"../w\""));
    let longer = Source { range: 0..2, ..source };
    assert!(refused(Form::Unix, vec![longer]).contains("w.gguf"));
    assert!(Source::file(&folder).is_err());
}

#[test]
fn engines_are_checked() {
    let refused = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut executable = engine(name);
        change(&mut executable);
        pack::Engine::new("x", executable).unwrap_err().to_string()
    };
    assert!(refused("linux-x86_64", &|bytes| bytes.truncate(900)).contains("incomplete"));
    assert!(refused("linux-x86_64", &|bytes| bytes[18] = 3).contains("another processor"));
    assert!(refused("windows-x86_64", &|bytes| bytes.truncate(100)).contains("no PE file"));
    assert!(refused("macos-aarch64", &|bytes| bytes[0] = b'#').contains("no executable"));
    let flip = |bytes: &mut Vec<u8>| bytes[20_000] ^= 1;
    assert!(refused("macos-aarch64", &flip).contains("changed after it was signed"));

    let mut with_model = engine("macos-aarch64");
    let len = with_model.len();
    with_model.extend_from_slice(&[1; 1000]);
    let engine = pack::Engine::new("x", with_model).unwrap();
    assert_eq!(engine.executable().len(), len, "what follows the executable is left out");

    let folder = folder("misnamed");
    fs::write(folder.join("llamafile-linux-aarch64"), common::engine("linux-x86_64")).unwrap();
    let misnamed = pack::engine::from_folder(&folder).unwrap_err().to_string();
    assert!(misnamed.contains("it is for linux-x86_64, not for linux-aarch64"), "{misnamed}");
}

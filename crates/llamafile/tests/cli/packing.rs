//! Packing models with the program, and starting what was packed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::{folder, llamafile, model, run, stderr, stdout};

const SKY: &[&str] = &["-p", "Why is the sky blue?", "--temp", "0", "-n", "12"];

/// Stand-ins for the engines of all systems.
fn engines() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../pack/tests/data/engines")
}

fn succeeds(arguments: &[&str]) -> Output {
    let output = llamafile().args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    output
}

fn refuses(arguments: &[&str], part: &str) {
    let output = llamafile().args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    assert!(stderr(&output).contains(part), "{arguments:?}: {}", stderr(&output));
}

/// Packs the default model with stand-ins, and other files.
fn pack(file: &Path, files: &[&str], more: &[&str]) {
    let start = ["pack", model().to_str().unwrap()];
    let output = ["-o", file.to_str().unwrap(), "--engines", engines()];
    succeeds(&[&start, files, &output, more].concat());
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_packed_model_answers_as_the_model_alone() {
    let file = folder("pack").join("sky.llamafile");
    pack(&file, &[], &["--", "--temp", "0", "-n", "12"]);
    let expected = stdout(&run(SKY));
    let started = |arguments: &[&str]| {
        stdout(&succeeds(&[&["--llamafile", text(&file)], arguments].concat()))
    };
    assert_eq!(started(&SKY[..2]), expected, "with the packed arguments");
    assert_ne!(started(&[&SKY[..2], &["-n", "3"]].concat()), expected, "the user's come last");
    assert_eq!(stdout(&succeeds(&[&["-m", text(&file)], SKY].concat())), expected);
    let named = format!("{}@{}", text(&file), model().file_name().unwrap().to_str().unwrap());
    assert_eq!(stdout(&succeeds(&[&["-m", &named], SKY].concat())), expected);

    let list = stdout(&succeeds(&["inspect", text(&file)]));
    for part in
        ["portable", "engines for linux-x86_64", ", windows-x86_64", ".args", "--temp 0 -n 12 ..."]
    {
        assert!(list.contains(part), "{part}: {list}");
    }
    assert!(stdout(&succeeds(&["verify", text(&file)])).ends_with("whole\n"));
    refuses(&["-m", &format!("{}@x.gguf", text(&file)), "-p", "Hi"], "there is no x.gguf");
    let zip = ["--llamafile", text(&file), "-m", "/zip/x.gguf", "-p", "Hi"];
    refuses(&zip, "there is no /zip/x.gguf");
}

#[test]
fn several_models_and_texts_in_one_file() {
    let folder = folder("several");
    let file = folder.join("two.llamafile");
    let other = folder.join("other.gguf");
    fs::copy(model(), &other).unwrap();
    let system = folder.join("system.txt");
    fs::write(&system, "Answer in French.").unwrap();
    let files = [text(&other), text(&system)];
    pack(&file, &files, &["--", "-m", "/zip/other.gguf", "-sysf", "/zip/system.txt"]);
    let arguments = [&["--llamafile", text(&file)], SKY].concat();
    let french = stdout(&run(&[&["-sys", "Answer in French."], SKY].concat()));
    assert_eq!(stdout(&succeeds(&arguments)), french);
    // As a model it is the one that its arguments name.
    let expected = stdout(&run(SKY));
    assert_eq!(stdout(&succeeds(&[&["-m", text(&file)], SKY].concat())), expected);

    let args = folder.join("args");
    fs::write(&args, "-n\n5\n").unwrap();
    pack(&file, &files, &["--args", text(&args)]);
    refuses(&["-m", text(&file), "-p", "Hi"], "holds several models");
    refuses(&["--llamafile", text(&file), "-p", "Hi"], "two.llamafile holds several models");
}

#[test]
fn a_native_file_starts_by_itself() {
    let file = folder("native").join("sky");
    let pack =
        succeeds(&["pack", text(model()), "-o", text(&file), "--", "--temp", "0", "-n", "12"]);
    assert!(
        stderr(&pack).contains("warning: this program carries no engines"),
        "{}",
        stderr(&pack)
    );
    let start = |arguments: &[&str]| {
        let mut command = Command::new(&file);
        command.env_clear().args(arguments).stdin(Stdio::null()).output().unwrap()
    };
    assert_eq!(stdout(&start(&SKY[..2])), stdout(&run(SKY)));
    assert!(stdout(&start(&["--version"])).starts_with("llamafile "));

    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 1000]).unwrap();
    let cut = start(&SKY[..2]);
    assert_eq!(cut.status.code(), Some(1));
    assert!(stderr(&cut).contains("the end of the file is missing"), "{}", stderr(&cut));
}

/// A copy of the program under another name.
fn program(path: &Path) -> PathBuf {
    fs::copy(env!("CARGO_BIN_EXE_llamafile"), path).unwrap();
    path.to_owned()
}

#[test]
fn a_program_finds_the_models_of_its_name_beside_it() {
    let folder = folder("beside");
    let program = program(&folder.join("sky.exe"));
    let start = || {
        let output = Command::new(&program).args(SKY).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let expected = stdout(&run(SKY));
    fs::copy(model(), folder.join("sky.gguf")).unwrap();
    assert_eq!(start(), expected);
    fs::remove_file(folder.join("sky.gguf")).unwrap();
    pack(&folder.join("sky.llamafile"), &[], &[]);
    assert_eq!(start(), expected);
}

#[test]
fn files_change_their_form_and_engines() {
    let folder = folder("forms");
    let file = folder.join("m.llamafile");
    succeeds(&["pack", "-o", text(&file), "--engines", engines(), "--portable", "unix"]);
    let form = || stdout(&succeeds(&["inspect", text(&file)])).lines().next().unwrap().to_owned();
    assert!(form().ends_with(": unix"));
    succeeds(&["retarget", "--os", "windows-x86_64", text(&file)]);
    assert!(form().ends_with(": windows-x86_64"));
    succeeds(&["retarget", "--portable", "all", text(&file)]);
    assert!(form().ends_with(": portable"));
    succeeds(&["--llamafile", text(&file), "--install"]);
    assert!(form().contains(std::env::consts::ARCH), "{}", form());
    succeeds(&["upgrade", text(&file), "--engines", engines(), "--portable", "all"]);
    assert!(form().ends_with(": portable"));
    let out = folder.join("out");
    let files = stdout(&succeeds(&["unpack", text(&file), "-o", text(&out)]));
    assert!(files.contains("macos-aarch64.gz"), "{files}");
    assert!(out.join(".llamafile/SHA256SUMS").is_file());

    refuses(&["retarget", "--os", "netbsd-x86_64", text(&file)], "no engine for netbsd-x86_64");
    refuses(&["--install"], "nothing packed");
}

#[test]
fn windows_shows_a_name() {
    let file = folder("name").join("sky.exe");
    let named = ["--name", "Blue Sky", "--app-version", "1.2"];
    let pack = ["pack", "-o", text(&file), "--engines", engines()];
    succeeds(&[&pack[..], &named].concat());
    let wide: Vec<u8> = "Blue Sky".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(fs::read(&file).unwrap().windows(wide.len()).any(|bytes| bytes == wide));
    refuses(&[&["pack", "-o", text(&file)], &named[..]].concat(), "there is no engine for it");
}

#[test]
fn what_can_not_be_packed() {
    let folder = folder("not-packed");
    let broken = folder.join("broken.gguf");
    fs::write(&broken, "GGUF").unwrap();
    refuses(&["pack", text(&broken), "--engines", engines()], "broken.gguf");
    let good = text(model());
    refuses(&["pack", good, "-o", good, "--engines", engines()], "is to be packed itself");
    let out = folder.join("out");
    let start = ["pack", good, "-o", text(&out), "--engines"];
    refuses(&[&start[..], &[engines(), "--", "--tmep", "1"]].concat(), "did you mean --temp?");
    refuses(&[&start[..], &[text(&folder)]].concat(), "there is no engine in it");
    let shard = folder.join("m-00001-of-00002.gguf");
    fs::write(&shard, "").unwrap();
    refuses(&["pack", text(&shard), "--engines", engines()], "m-00002-of-00002.gguf");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing is left behind");
    refuses(&["verify", good], "there is no list of packed files");
    refuses(&["--llamafile", good], "there is no list of packed files");
}

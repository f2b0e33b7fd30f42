//! Files start: from every shell that is installed, wherever they lie, and as the very process.
//!
//! The engine is a stand-in that writes its arguments and standard input.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use common::{engine, engines_that_start, folder};
use pack::{Archive, Form, Target};

/// A process that begins while another thread writes a file has that file open for a moment, and
/// Linux runs no file that is open for writing.
static FORKING: RwLock<()> = RwLock::new(());

fn spawn(command: &mut Command) -> Child {
    let _guard = FORKING.read().unwrap_or_else(PoisonError::into_inner);
    command.spawn().unwrap()
}

fn output(command: &mut Command) -> Output {
    let child = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    child.wait_with_output().unwrap()
}

fn packed(folder: &Path, name: &str, form: Form) -> PathBuf {
    let _guard = FORKING.write().unwrap_or_else(PoisonError::into_inner);
    common::packed_with(folder, name, form, &engines_that_start())
}

fn write_program(path: &Path, bytes: &[u8]) {
    let _guard = FORKING.write().unwrap_or_else(PoisonError::into_inner);
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A command with nothing in its environment but a home for the cache.
fn command(program: impl AsRef<std::ffi::OsStr>, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", home);
    command.stdin(Stdio::null());
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What the stand-in writes.
fn expected(file: &str, arguments: &[&str]) -> String {
    [&["--llamafile", file], arguments].concat().join("\n") + "\n"
}

/// The engines in the cache.
fn cached(cache: &Path) -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(cache) else { return Vec::new() };
    folder.map(|entry| entry.unwrap().path()).collect()
}

fn home_cache(home: &Path) -> PathBuf {
    home.join(".cache/llamafile/engines")
}

/// The shells of this machine, with the argument that makes them run a command.
fn shells() -> Vec<Vec<&'static str>> {
    let all = [&["bash"][..], &["dash"], &["sh"], &["zsh"], &["fish"], &["busybox", "sh"]];
    let installed = |shell: &&[&str]| {
        let _guard = FORKING.read().unwrap_or_else(PoisonError::into_inner);
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).args(["-c", "exit 0"]);
        command.status().is_ok_and(|status| status.success())
    };
    all.into_iter().filter(installed).map(<[&str]>::to_vec).collect()
}

#[test]
fn from_every_shell() {
    let shells = shells();
    assert!(shells.iter().any(|shell| shell == &["sh"]));
    for form in [Form::Portable, Form::Unix] {
        let home = folder(&format!("shells-{}", form.name()));
        let file = packed(&home, "a file.llamafile", form);
        let file = file.to_str().unwrap();
        for shell in &shells {
            // Twice: the engine is placed, then found.
            for _ in 0..2 {
                let script = format!("'{file}' 'a  b' '' '*' \\$x exit 3");
                let mut start = command(shell[0], &home);
                let output = output(start.args(&shell[1..]).args(["-c", &script]));
                let expected = expected(file, &["a  b", "", "*", "$x", "exit", "3"]);
                assert_eq!(text(&output), expected, "{shell:?} {output:?}");
                assert_eq!(output.status.code(), Some(3), "{shell:?}");
                assert!(output.stderr.is_empty(), "{shell:?} {output:?}");
            }
            assert_eq!(cached(&home_cache(&home)).len(), 1);
            fs::remove_dir_all(home.join(".cache")).unwrap();
        }
    }
}

/// OpenBSD's `head` counts lines only.
#[test]
fn where_head_counts_no_bytes() {
    let home = folder("head");
    let file = packed(&home, "model.llamafile", Form::Unix);
    let tools = home.join("tools");
    fs::create_dir(&tools).unwrap();
    write_program(&tools.join("head"), b"#!/bin/sh\necho usage: head >&2\nexit 1\n");
    let path = format!("{}:/usr/bin:/bin", tools.display());
    let output = output(command(&file, &home).arg("x").env("PATH", path));
    assert_eq!(text(&output), expected(file.to_str().unwrap(), &["x"]), "{output:?}");
}

#[test]
fn without_a_shell() {
    let home = folder("execve");
    for form in [Form::Unix, Form::Native(Target::host().unwrap())] {
        let file = packed(&home, form.name(), form);
        let output = output(command(&file, &home).args(["a", "exit", "4"]));
        assert!(text(&output).ends_with("a\nexit\n4\n"), "{output:?}");
        assert_eq!(output.status.code(), Some(4));
    }
}

#[test]
fn by_symlink_path_and_relative_name() {
    let home = folder("names");
    let file = packed(&home, "model.llamafile", Form::Portable);
    let run = |script: &str| {
        let path = format!("{}:/usr/bin:/bin", home.display());
        let mut start = command("sh", &home);
        let output = output(start.args(["-c", script]).current_dir(&home).env("PATH", path));
        assert!(output.status.success(), "{script}: {output:?}");
        text(&output)
    };
    symlink(&file, home.join("link")).unwrap();
    assert_eq!(run("./link x"), expected("./link", &["x"]));
    assert_eq!(run("./model.llamafile"), expected("./model.llamafile", &[]));
    assert_eq!(run("sh model.llamafile y"), expected("./model.llamafile", &["y"]));
    let found = home.join("model.llamafile");
    assert_eq!(run("model.llamafile x"), expected(found.to_str().unwrap(), &["x"]));
    fs::rename(&file, home.join("renamed")).unwrap();
    assert_eq!(run("./renamed"), expected("./renamed", &[]));
}

#[test]
fn with_standard_input_and_an_empty_environment() {
    let home = folder("stdin");
    let temporary = home.join("tmp");
    fs::create_dir(&temporary).unwrap();
    let file = packed(&home, "m", Form::Unix);
    let mut start = Command::new(&file);
    start.env_clear().env("TMPDIR", &temporary).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = spawn(&mut start);
    child.stdin.take().unwrap().write_all(b"from a pipe").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output), expected(file.to_str().unwrap(), &[]) + "from a pipe");
    let [private] = &cached(&temporary)[..] else { panic!("one folder") };
    assert_eq!(fs::metadata(private).unwrap().permissions().mode() & 0o777, 0o700);
}

/// Waits until the process runs the engine.
fn wait_for_engine(child: &Child) {
    let line = format!("/proc/{}/cmdline", child.id());
    let begun = Instant::now();
    while !fs::read(&line).unwrap().windows(11).any(|part| part == b"--llamafile") {
        assert!(begun.elapsed() < Duration::from_secs(60), "the engine does not start");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn as_the_very_process_that_signals_reach() {
    let home = folder("signals");
    let file = packed(&home, "m", Form::Portable);
    let mut child = spawn(command("sh", &home).arg(&file).arg("wait").stdout(Stdio::null()));
    wait_for_engine(&child);
    let kill = format!("kill -TERM {}", child.id());
    assert!(output(Command::new("sh").args(["-c", &kill])).status.success());
    assert_eq!(child.wait().unwrap().signal(), Some(15));
}

#[test]
fn many_at_once_for_the_first_time() {
    let home = folder("concurrent");
    let file = packed(&home, "m", Form::Unix);
    let start = |_| spawn(command(&file, &home).arg("x").stdout(Stdio::piped()));
    let children: Vec<Child> = (0..16).map(start).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!(text(&output), expected(file.to_str().unwrap(), &["x"]));
    }
    let cached = cached(&home_cache(&home));
    assert_eq!(cached.len(), 1, "no unfinished engines: {cached:?}");
    let host = Target::host().unwrap().name();
    assert_eq!(fs::read(&cached[0]).unwrap(), engine(host));
}

#[test]
fn a_damaged_engine_in_the_cache_is_replaced() {
    let home = folder("repaired");
    let file = packed(&home, "m", Form::Unix);
    let run = || text(&output(command(&file, &home).arg("x")));
    let good = run();
    let engine = cached(&home_cache(&home)).remove(0);
    let mut bytes = fs::read(&engine).unwrap();
    bytes[700] ^= 1;
    write_program(&engine, &bytes);
    assert_eq!(run(), good);
    bytes.truncate(100);
    fs::remove_file(&engine).unwrap();
    write_program(&engine, &bytes);
    assert_eq!(run(), good);
    fs::remove_file(&engine).unwrap();
    assert_eq!(run(), good);
}

#[test]
fn where_the_home_can_not_be_written() {
    let home = folder("read-only");
    let file = packed(&home, "m", Form::Unix);
    let temporary = home.join("tmp");
    fs::create_dir(&temporary).unwrap();
    // A file in place of the folder refuses even root.
    fs::write(home.join(".cache"), b"").unwrap();
    let run =
        |name: &str, folder: &Path| text(&output(command(&file, &home).env(name, folder).arg("x")));
    assert!(run("TMPDIR", &temporary).ends_with("x\n"));
    assert_eq!(cached(&temporary).len(), 1);

    let chosen = home.join("chosen");
    assert!(run("LLAMAFILE_CACHE", &chosen).ends_with("x\n"));
    assert_eq!(cached(&chosen.join("engines")).len(), 1);
}

#[test]
fn where_a_shared_folder_holds_a_trap() {
    let home = folder("trap");
    let file = packed(&home, "m", Form::Unix);
    let (temporary, elsewhere) = (home.join("tmp"), home.join("elsewhere"));
    fs::create_dir(&temporary).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    fs::write(home.join(".cache"), b"").unwrap();
    let id = output(Command::new("id").arg("-u"));
    symlink(&elsewhere, temporary.join(format!("llamafile-{}", text(&id).trim()))).unwrap();
    let output = output(command(&file, &home).env("TMPDIR", &temporary).arg("x"));
    assert!(text(&output).ends_with("x\n"), "another folder serves: {output:?}");
    assert_eq!(cached(&elsewhere).len(), 0, "links are not followed");
}

#[test]
fn on_a_system_without_engine() {
    let home = folder("other-system");
    let file = packed(&home, "m", Form::Unix);
    let tools = home.join("tools");
    fs::create_dir(&tools).unwrap();
    write_program(&tools.join("uname"), b"#!/bin/sh\necho BeOS ppc\n");
    let path = format!("{}:/usr/bin:/bin", tools.display());
    let output = output(command(&file, &home).env("PATH", path));
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("m: no engine for BeOS ppc in this file"), "{message}");
}

#[test]
fn with_an_engine_that_is_stored_alone() {
    let home = folder("alone");
    let file = common::packed_with(&home, "m", Form::Unix, &common::alone());
    let output = output(command("sh", &home).arg(&file).arg("x"));
    assert_eq!(text(&output), expected(file.to_str().unwrap(), &["x"]), "{output:?}");
}

#[test]
fn with_a_damaged_engine() {
    let host = Target::host().unwrap();
    // One that no other test has left in /tmp: the last byte of padding in ELF's first 16.
    let mut executable = engine(host.name());
    executable[15] = 1;
    let alone = pack::Engine::new("unique", executable).unwrap();
    let together = alone.clone();
    let unpacker = fs::read(env!("CARGO_BIN_EXE_llamafile-unpack")).unwrap();
    let together = together.with_unpacker("unpacker", unpacker).unwrap();
    refuses_damage(alone, &format!("{host}.gz"));
    refuses_damage(together, &format!("{}.xz", host.arch.name()));
}

fn refuses_damage(engine: pack::Engine, member: &str) {
    let home = folder(&format!("damaged-{member}"));
    let file = common::packed_with(&home, "m", Form::Unix, &[engine]);
    let member = format!(".llamafile/engines/{member}");
    let range = Archive::open(&file).unwrap().entry(&member).unwrap().range().unwrap();
    let good = fs::read(&file).unwrap();
    let middle = (range.start + range.end) as usize / 2;
    let altered: Vec<u8> =
        good.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == middle)).collect();
    for bytes in [&altered[..], &good[..middle], &good[..range.start as usize]] {
        write_program(&file, bytes);
        let mut start = command(&file, &home);
        let output = output(start.env("TMPDIR", &home).arg("x"));
        assert_eq!((output.status.code(), text(&output)), (Some(126), String::new()));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(message.contains("is incomplete or damaged; fetch the file again"), "{message}");
        assert_eq!(cached(&home_cache(&home)), Vec::<PathBuf>::new(), "nothing is left behind");
    }
}

#[test]
fn from_a_folder_that_can_not_be_written() {
    let home = folder("read-only-folder");
    let inner = home.join("inner");
    fs::create_dir(&inner).unwrap();
    let packed = packed(&home, "m", Form::Unix);
    let file = inner.join("m");
    fs::rename(packed, &file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o555)).unwrap();
    let output = output(command(&file, &home).arg("x"));
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(text(&output), expected(file.to_str().unwrap(), &["x"]));
}

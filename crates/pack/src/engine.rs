//! Engines: the executables that run models, one for each system.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use crate::about::About;
use crate::archive::Archive;
use crate::resources::Resource;
use crate::target::{Os, Target};
use crate::{Error, image, macho, pe};

/// Folder of the engines in a file.
const FOLDER: &str = ".llamafile/engines/";
/// Most bytes of an executable.
const MAX_EXECUTABLE: u64 = 256 << 20;

/// An executable for one system, as it is and compressed.
#[derive(Debug, Clone)]
pub struct Engine {
    target: Target,
    executable: Vec<u8>,
    gzip: Vec<u8>,
}

impl Engine {
    /// An engine from the bytes of an executable; what follows it in its file is left out. One for
    /// macOS is signed ad hoc if it is not signed yet: Apple's processors run nothing unsigned.
    ///
    /// # Errors
    /// Bytes that are no executable, or one that could not start.
    pub fn new(name: &str, mut executable: Vec<u8>) -> Result<Self, Error> {
        let image = checked(name, &mut executable)?;
        if image.target.os == Os::Macos && macho::check_signature(&executable).is_none() {
            macho::sign(&mut executable).map_err(|problem| Error::engine(name, problem))?;
        }
        // Time and name are left out, so that equal executables make equal files.
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let gzip = encoder.write_all(&executable).and_then(|()| encoder.finish());
        let gzip = gzip.map_err(|error| Error::engine(name, error.to_string()))?;
        Ok(Self { target: image.target, executable, gzip })
    }

    fn from_gzip(name: &str, gzip: Vec<u8>) -> Result<Self, Error> {
        let mut executable = Vec::new();
        GzDecoder::new(&gzip[..])
            .take(MAX_EXECUTABLE)
            .read_to_end(&mut executable)
            .map_err(|error| Error::engine(name, error.to_string()))?;
        let image = checked(name, &mut executable)?;
        Ok(Self { target: image.target, executable, gzip })
    }

    /// The engine for Windows with what is to be shown of it; any other stays as it is.
    ///
    /// # Errors
    /// An executable without room for it, or a signed one, whose signature would become invalid.
    pub fn described(self, about: &About) -> Result<Self, Error> {
        self.with_resources(&about.resources())
    }

    /// The engine for Windows with what an earlier one shows; any other stays as it is.
    pub(crate) fn described_as(self, earlier: &Self) -> Result<Self, Error> {
        if earlier.target.os != Os::Windows {
            return Ok(self);
        }
        let resources = pe::resources(&earlier.executable);
        self.with_resources(&resources.map_err(|problem| earlier.wrong(problem))?)
    }

    fn with_resources(self, resources: &[Resource]) -> Result<Self, Error> {
        if self.target.os != Os::Windows || resources.is_empty() {
            return Ok(self);
        }
        let executable = pe::with_resources(&self.executable, resources);
        Self::new(self.target.name(), executable.map_err(|problem| self.wrong(problem))?)
    }

    fn wrong(&self, problem: &str) -> Error {
        Error::engine(format!("the engine for {}", self.target), problem)
    }

    /// The system that it is for.
    pub fn target(&self) -> Target {
        self.target
    }

    /// The executable.
    pub fn executable(&self) -> &[u8] {
        &self.executable
    }

    /// The executable, compressed by gzip.
    pub fn gzip(&self) -> &[u8] {
        &self.gzip
    }

    /// Name of its member in a file.
    pub(crate) fn member(&self) -> String {
        format!("{FOLDER}{}.gz", self.target)
    }

    /// The first 16 hexadecimal digits of the executable's SHA-256.
    pub(crate) fn hash(&self) -> String {
        hex(&Sha256::digest(&self.executable)[..8])
    }
}

/// Whether a member of that name is an engine.
pub(crate) fn is_engine(name: &str) -> bool {
    name.starts_with(FOLDER)
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn checked(name: &str, executable: &mut Vec<u8>) -> Result<image::Image, Error> {
    let wrong = |problem: &str| Error::engine(name, problem);
    let image = image::inspect(executable).map_err(wrong)?;
    match usize::try_from(image.len) {
        Ok(len) if len <= executable.len() => executable.truncate(len),
        _ => return Err(wrong("the executable is incomplete")),
    }
    if image.target.os == Os::Macos {
        macho::check_signature(executable).unwrap_or(Ok(())).map_err(wrong)?;
    }
    Ok(image)
}

/// The engines of a folder, by the names `llamafile-OS-ARCH` (with `.exe` for Windows).
///
/// # Errors
/// A file that can't be read, or is no executable for the system it is named after.
pub fn from_folder(folder: &Path) -> Result<Vec<Engine>, Error> {
    let mut engines = Vec::new();
    for target in Target::ALL {
        let mut files = target.files().into_iter().map(|name| folder.join(name));
        let Some(path) = files.find(|path| path.is_file()) else { continue };
        let name = path.display().to_string();
        let engine = Engine::new(&name, read(&path)?)?;
        if engine.target != target {
            let problem = format!("it is for {}, not for {target}", engine.target);
            return Err(Error::engine(name, problem));
        }
        engines.push(engine);
    }
    if engines.is_empty() {
        let expected = Target::ALL[0].files().remove(0);
        let problem = format!("there is no engine in it; expected files such as {expected}");
        return Err(Error::engine(folder.display().to_string(), problem));
    }
    Ok(engines)
}

/// The engines in a packed file.
///
/// # Errors
/// An engine that is damaged.
pub fn from_archive(archive: &Archive) -> Result<Vec<Engine>, Error> {
    let mut engines = Vec::new();
    for entry in archive.entries().iter().filter(|entry| is_engine(entry.name())) {
        let name = format!("{}: {}", archive.path().display(), entry.name());
        let engine = Engine::from_gzip(&name, archive.read(entry.name(), MAX_EXECUTABLE)?)?;
        if engine.member() != entry.name() {
            return Err(Error::engine(name, format!("it is for {}", engine.target)));
        }
        engines.push(engine);
    }
    engines.sort_by_key(|engine| Target::ALL.iter().position(|target| *target == engine.target));
    Ok(engines)
}

/// The engine that an executable file is itself, without what follows it.
///
/// # Errors
/// A file that can't be read or is no executable.
pub fn from_executable(path: &Path) -> Result<Engine, Error> {
    Engine::new(&path.display().to_string(), read(path)?)
}

/// The executable at the front of a file; of a large file, only that is read.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = Error::io("read", path);
    let mut bytes = Vec::new();
    let mut read = || {
        let file = fs::File::open(path)?;
        (&file).take(image::FRONT).read_to_end(&mut bytes)?;
        let len = image::inspect(&bytes).map_or(0, |image| image.len.min(MAX_EXECUTABLE));
        file.take(len.saturating_sub(bytes.len() as u64)).read_to_end(&mut bytes)
    };
    read().map_err(failed)?;
    Ok(bytes)
}

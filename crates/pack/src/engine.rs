//! Engines: the executables that run models, one for each system.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::about::About;
use crate::archive::Archive;
use crate::bundle::{self, Kind, Stored};
use crate::resources::Resource;
use crate::target::{Os, Target};
use crate::{Error, image, macho, pe};

/// Most bytes of an executable.
const MAX_EXECUTABLE: u64 = 256 << 20;
/// Most bytes of executables that are compressed together.
const MAX_TOGETHER: u64 = 1 << 30;

/// An executable for one system.
#[derive(Debug, Clone)]
pub struct Engine {
    target: Target,
    executable: Vec<u8>,
    /// The program that takes it out of a file, compressed by gzip.
    unpacker: Option<Arc<Stored>>,
    /// Where it was read from, maybe with others.
    stored: Option<Arc<Stored>>,
}

impl Engine {
    /// An engine from the bytes of an executable; what follows it in its file is left out. One for
    /// macOS is signed ad hoc if it is not signed yet: Apple's processors run nothing unsigned.
    ///
    /// # Errors
    /// Bytes that are no executable, or one that could not start.
    pub fn new(name: &str, executable: Vec<u8>) -> Result<Self, Error> {
        let (target, executable) = signed(name, executable)?;
        Ok(Self { target, executable, unpacker: None, stored: None })
    }

    /// The engine, to be stored with others, and the program that takes it out there:
    /// `llamafile-unpack`.
    ///
    /// # Errors
    /// Bytes that are no executable for the engine's system.
    pub fn with_unpacker(self, name: &str, executable: Vec<u8>) -> Result<Self, Error> {
        let (target, executable) = signed(name, executable)?;
        if target != self.target {
            return Err(misplaced(name, target, self.target));
        }
        let gzip = Stored::gzip(&executable, &mut |_| ());
        let gzip = gzip.map_err(|error| Error::engine(name, error.to_string()))?;
        Ok(Self { unpacker: Some(Arc::new(gzip)), ..self })
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

    /// The program that takes it out of a file, compressed by gzip.
    pub(crate) fn unpacker(&self) -> Option<&Arc<Stored>> {
        self.unpacker.as_ref()
    }

    /// Where it was read from.
    pub(crate) fn stored(&self) -> Option<&Arc<Stored>> {
        self.stored.as_ref()
    }

    /// The first 16 hexadecimal digits of the executable's SHA-256.
    pub(crate) fn hash(&self) -> String {
        hex(&Sha256::digest(&self.executable)[..8])
    }
}

/// Bytes of all these executables.
pub(crate) fn total_size(engines: &[Engine]) -> u64 {
    engines.iter().map(|engine| engine.executable.len() as u64).sum()
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The system of an executable, and the executable without what follows it, signed where need be.
fn signed(name: &str, executable: Vec<u8>) -> Result<(Target, Vec<u8>), Error> {
    let (target, mut executable) = checked(name, executable)?;
    if target.os == Os::Macos && macho::check_signature(&executable).is_none() {
        macho::sign(&mut executable).map_err(|problem| Error::engine(name, problem))?;
    }
    Ok((target, executable))
}

fn checked(name: &str, mut executable: Vec<u8>) -> Result<(Target, Vec<u8>), Error> {
    let wrong = |problem: &str| Error::engine(name, problem);
    let image = image::inspect(&executable).map_err(wrong)?;
    match usize::try_from(image.len) {
        Ok(len) if len <= executable.len() => executable.truncate(len),
        _ => return Err(wrong("the executable is incomplete")),
    }
    if image.target.os == Os::Macos {
        macho::check_signature(&executable).unwrap_or(Ok(())).map_err(wrong)?;
    }
    Ok((image.target, executable))
}

fn misplaced(name: &str, found: Target, expected: Target) -> Error {
    Error::engine(name, format!("it is for {found}, not for {expected}"))
}

/// The engines of a folder, by the names `llamafile-OS-ARCH` (with `.exe` for Windows), with the
/// unpackers `unpack-OS-ARCH` that are beside them.
///
/// # Errors
/// A file that can't be read, or is no executable for the system it is named after.
pub fn from_folder(folder: &Path) -> Result<Vec<Engine>, Error> {
    let mut engines = Vec::new();
    for target in Target::ALL {
        let mut files = target.files().into_iter().map(|name| folder.join(name));
        let Some(path) = files.find(|path| path.is_file()) else { continue };
        let name = path.display().to_string();
        let mut engine = Engine::new(&name, read(&path)?)?;
        if engine.target != target {
            return Err(misplaced(&name, engine.target, target));
        }
        let path = folder.join(format!("unpack-{target}"));
        if path.is_file() {
            engine = engine.with_unpacker(&path.display().to_string(), read(&path)?)?;
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
    let mut unpackers = Vec::new();
    for entry in archive.entries() {
        let kind = Kind::of(entry.name());
        if kind == Kind::Other {
            continue;
        }
        let name = format!("{}: {}", archive.path().display(), entry.name());
        let bytes = archive.read(entry.name(), MAX_EXECUTABLE)?;
        let read = Stored::read(entry.name(), bytes, MAX_TOGETHER);
        let (stored, mut content) =
            read.map_err(|error| Error::engine(&name, error.to_string()))?;
        let stored = Arc::new(stored);
        if kind == Kind::Unpacker {
            unpackers.push((checked(&name, content)?.0, stored));
            continue;
        }
        while !content.is_empty() {
            let image =
                image::inspect(&content).map_err(|problem| Error::engine(&name, problem))?;
            let len = usize::try_from(image.len).unwrap_or(usize::MAX).min(content.len());
            let next = content.split_off(len);
            let (target, executable) = checked(&name, content)?;
            content = next;
            let stored = Some(stored.clone());
            engines.push((entry.name(), Engine { target, executable, unpacker: None, stored }));
        }
    }
    for (_, engine) in &mut engines {
        let unpacker = unpackers.iter().find(|(target, _)| *target == engine.target);
        engine.unpacker = unpacker.map(|(_, stored)| stored.clone());
    }
    if let Some((name, engine)) = engines.iter().find(|(name, e)| bundle::member(e) != *name) {
        let problem =
            format!("{name} holds an engine for {}, or its unpacker is missing", engine.target);
        return Err(Error::damaged(archive.path(), problem));
    }
    let mut engines: Vec<Engine> = engines.into_iter().map(|(_, engine)| engine).collect();
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

//! How engines are stored in a file.
//!
//! Those for one kind of processor are much alike, so they are compressed together, one behind the
//! other: by xz that takes less than half of what gzip takes for each. As no Unix is sure to have a
//! program that reads xz, the file carries one for each of them, the unpacker, compressed by gzip,
//! which all have. An engine for Unix without an unpacker is stored alone, by gzip. The one for
//! Windows, which no script unpacks, comes last.

use std::fmt;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::Arc;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use lzma_rust2::{FilterType, XzOptions, XzReader, XzWriter};

use crate::Error;
use crate::cksum::cksum;
use crate::engine::Engine;
use crate::head::Placed;
use crate::target::{Arch, Os, Target};

/// Folder of the engines in a file.
const FOLDER: &str = ".llamafile/engines/";
/// Begin of an unpacker's name.
const UNPACKER: &str = "unpack-";
/// End of the names of what is compressed by xz.
const XZ: &str = ".xz";
/// How hard to try; more takes longer and gains 1 %.
const XZ_LEVEL: u32 = 6;
/// How far back repetitions are found, at most: to the engine before the last.
const MAX_DICTIONARY: u64 = 32 << 20;

/// Compressed bytes.
pub(crate) struct Stored {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many they were.
    content: usize,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.bytes.len(), self.content)
    }
}

impl Stored {
    /// Compresses by gzip. `progress` hears of every part of `content`.
    pub fn gzip(content: &[u8], progress: &mut dyn FnMut(u64)) -> io::Result<Self> {
        // Time and name are left out, so that equal executables make equal files.
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        write_parts(&mut encoder, content, progress)?;
        Ok(Self { bytes: encoder.finish()?, content: content.len() })
    }

    /// Compresses executables for a processor by xz. `progress` as for [`Stored::gzip`].
    fn xz(engines: &[&Engine], arch: Arch, progress: &mut dyn FnMut(u64)) -> io::Result<Self> {
        let content = engines.iter().map(|engine| engine.executable().len()).sum();
        let mut options = XzOptions::with_preset(XZ_LEVEL);
        let dictionary = (content as u64).next_power_of_two().clamp(1 << 16, MAX_DICTIONARY);
        options.lzma_options.dict_size = dictionary as u32;
        // Calls of a function from different places become equal bytes.
        let filter = match arch {
            Arch::X86_64 => FilterType::BcjX86,
            Arch::Aarch64 => {
                // Instructions are words.
                (options.lzma_options.lc, options.lzma_options.lp) = (2, 2);
                FilterType::BcjArm64
            }
        };
        options.prepend_pre_filter(filter, 0);
        let mut encoder = XzWriter::new(Vec::new(), options)?;
        for engine in engines {
            write_parts(&mut encoder, engine.executable(), progress)?;
        }
        Ok(Self { bytes: encoder.finish()?, content })
    }

    /// Compressed bytes of a member of that name, and what they hold, which is at most `limit` bytes.
    pub fn read(name: &str, bytes: Vec<u8>, limit: u64) -> io::Result<(Self, Vec<u8>)> {
        let mut content = Vec::new();
        if name.ends_with(XZ) {
            // Ours take some hundred KB besides the dictionary.
            let memory = ((2 * MAX_DICTIONARY) >> 10) as u32;
            XzReader::new_mem_limit(&bytes[..], false, memory)
                .take(limit)
                .read_to_end(&mut content)?;
        } else {
            GzDecoder::new(&bytes[..]).take(limit).read_to_end(&mut content)?;
        }
        Ok((Self { bytes, content: content.len() }, content))
    }
}

/// Compresses `content` in parts, each of which takes a moment.
fn write_parts(
    encoder: &mut impl Write,
    content: &[u8],
    progress: &mut dyn FnMut(u64),
) -> io::Result<()> {
    for part in content.chunks(1 << 18) {
        encoder.write_all(part)?;
        progress(part.len() as u64);
    }
    Ok(())
}

/// A member of a file that holds one engine or several.
pub(crate) struct Bundle<'e> {
    name: String,
    stored: Arc<Stored>,
    engines: Vec<&'e Engine>,
}

/// Engines as they are stored. What was read from a file is not compressed again if it is still
/// the same. `progress` hears of bytes done, in all those of the executables.
pub(crate) fn bundles<'e>(
    engines: &'e [Engine],
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Bundle<'e>>, Error> {
    let mut groups: Vec<(String, Vec<&Engine>)> = Vec::new();
    let is_windows = |engine: &&Engine| engine.target().os == Os::Windows;
    let (last, first): (Vec<_>, Vec<_>) = engines.iter().partition(is_windows);
    for engine in first.into_iter().chain(last) {
        let name = member(engine);
        match groups.iter_mut().find(|(other, _)| *other == name) {
            Some((_, engines)) => engines.push(engine),
            None => groups.push((name, vec![engine])),
        }
    }
    groups.into_iter().map(|(name, engines)| Bundle::new(name, engines, progress)).collect()
}

impl<'e> Bundle<'e> {
    fn new(
        name: String,
        engines: Vec<&'e Engine>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, Error> {
        let first = engines[0];
        let stored = match as_read(&engines) {
            Some(stored) => {
                progress(stored.content as u64);
                Ok(stored)
            }
            None if name.ends_with(XZ) => {
                Stored::xz(&engines, first.target().arch, progress).map(Arc::new)
            }
            None => Stored::gzip(first.executable(), progress).map(Arc::new),
        };
        let stored = stored.map_err(|error| Error::engine(&name, error.to_string()))?;
        Ok(Self { name, stored, engines })
    }

    /// Names and bytes of the members: the unpackers and the engines.
    pub fn members(&self) -> impl Iterator<Item = (String, &[u8])> {
        let unpacker = |engine: &&'e Engine| {
            Some((unpacker_member(engine.target()), &engine.unpacker()?.bytes[..]))
        };
        let unpackers = self.engines.iter().filter_map(unpacker);
        unpackers.chain([(self.name.clone(), &self.stored.bytes[..])])
    }

    /// The engines with their places in a file, whose members `range` finds by their names.
    pub fn placed(&self, range: &impl Fn(&str) -> Option<Range<u64>>) -> Vec<Placed<'e>> {
        let Some(stored) = range(&self.name) else { return Vec::new() };
        let cksum = cksum(&self.stored.bytes);
        let mut skip = 0;
        let place = |engine: &&'e Engine| {
            let before = skip;
            skip += engine.executable().len() as u64;
            let unpacker = match engine.unpacker() {
                Some(_) => Some(range(&unpacker_member(engine.target()))?),
                None => None,
            };
            let (offset, cksum) = (stored.start, cksum.clone());
            Some(Placed { engine, offset, cksum, skip: before, unpacker })
        };
        self.engines.iter().filter_map(place).collect()
    }
}

/// The bytes of a file that these engines, all of them and no others, were read from.
fn as_read(engines: &[&Engine]) -> Option<Arc<Stored>> {
    let stored = engines[0].stored()?;
    let same = |engine: &&Engine| engine.stored().is_some_and(|other| Arc::ptr_eq(other, stored));
    let content: usize = engines.iter().map(|engine| engine.executable().len()).sum();
    (engines.iter().all(same) && content == stored.content).then(|| stored.clone())
}

/// Name of the member that an engine is stored in.
pub(crate) fn member(engine: &Engine) -> String {
    let target = engine.target();
    match target.os == Os::Windows || engine.unpacker().is_some() {
        true => format!("{FOLDER}{}{XZ}", target.arch.name()),
        false => format!("{FOLDER}{target}.gz"),
    }
}

fn unpacker_member(target: Target) -> String {
    format!("{FOLDER}{UNPACKER}{target}.gz")
}

/// What a member of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An engine, or several.
    Engines,
    /// An unpacker.
    Unpacker,
    /// None of ours.
    Other,
}

impl Kind {
    /// By the member's name.
    pub fn of(name: &str) -> Self {
        match name.strip_prefix(FOLDER) {
            Some(name) if name.starts_with(UNPACKER) => Self::Unpacker,
            Some(_) => Self::Engines,
            None => Self::Other,
        }
    }
}

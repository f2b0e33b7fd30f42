//! Where things are in a file, and packing one.
//!
//! ```text
//! 0           front: script and Windows executable, or script, or native executable
//!             zeros: room for the largest of these, and for larger ones later
//! room        engines, compressed           ┐
//!             room for larger ones later    │
//!             .args and other small files   │ members of the ZIP archive
//!             models, at multiples of 64 KB │
//!             SHA-256 of all members        ┘
//!             list of members
//! ```
//!
//! As there is room for every form of the front, one can take another's place while all else
//! stays where it is.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::args;
use crate::bundle::{Bundle, bundles};
use crate::engine::{Engine, total_size};
use crate::front;
use crate::head::{self, Form, Placed};
use crate::writer::{ALIGNMENT, Source, Writer};
use crate::zip;

/// Spare room for later, larger engines: one part in this many.
const SPARE: u64 = 64;

/// What goes into a file.
#[derive(Debug, Clone)]
pub struct Contents<'a> {
    /// What the front shall be.
    pub form: Form,
    /// Engines that are carried along.
    pub engines: &'a [Engine],
    /// Text of `.args`.
    pub args: Option<String>,
    /// Models and other files.
    pub members: Vec<Source>,
}

/// Writes a file. `progress` hears of bytes done and of all bytes of the engines and members.
///
/// An unfinished file never has the name `output`.
///
/// # Errors
/// Files that can't be read or written, names that can't be stored, a form without its engine.
pub fn pack(
    contents: &Contents<'_>,
    output: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, Error> {
    // What can't be written is refused before engines are compressed.
    let part = Part::new(output);
    let file = part.create()?;
    let total = contents.size();
    let mut done = 0;
    let bundles = bundles(contents.engines, &mut |n| {
        done += n;
        progress(done, total);
    })?;
    part.fill(file, contents, &bundles, output, progress)
}

impl Contents<'_> {
    /// Bytes of engines and members.
    fn size(&self) -> u64 {
        total_size(self.engines) + self.members.iter().map(Source::len).sum::<u64>()
    }
}

/// Where engines are.
pub(crate) struct Layout {
    /// Where the first engine's header begins; the front has the bytes before it.
    pub room: u64,
    /// Where other members may begin.
    pub end: u64,
}

impl Layout {
    /// `spare` leaves room for larger engines.
    pub fn new(engines: &[Engine], bundles: &[Bundle<'_>], spare: bool) -> Self {
        let roomy = |len: u64| if spare { len + len / SPARE } else { len };
        let room = roomy(head::room(engines)).next_multiple_of(ALIGNMENT);
        let sizes = bundles.iter().flat_map(Bundle::members).map(|(name, bytes)| {
            let size = bytes.len() as u64;
            zip::local_len(&name, size) + size
        });
        let end = (room + roomy(sizes.sum())).next_multiple_of(ALIGNMENT);
        Self { room, end }
    }
}

/// Writes the engines and says where they are.
pub(crate) fn write_engines<'e>(
    bundles: &[Bundle<'e>],
    writer: &mut Writer<'_>,
) -> Result<Vec<Placed<'e>>, Error> {
    let mut ranges = HashMap::new();
    for (name, bytes) in bundles.iter().flat_map(Bundle::members) {
        let offset = writer.bytes(&name, bytes)?;
        ranges.insert(name, offset..offset + bytes.len() as u64);
    }
    let range = |name: &str| ranges.get(name).cloned();
    Ok(bundles.iter().flat_map(|bundle| bundle.placed(&range)).collect())
}

/// A file that is not complete yet; removed unless it becomes one.
pub(crate) struct Part(pub PathBuf);

impl Part {
    pub fn new(output: &Path) -> Self {
        let mut name = output.as_os_str().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        Self(name.into())
    }

    /// Creates it.
    pub fn create(&self) -> Result<File, Error> {
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true).open(&self.0);
        file.map_err(Error::io("create", &self.0))
    }

    /// [`pack`], with the engines compressed before.
    pub fn fill(
        self,
        mut file: File,
        contents: &Contents<'_>,
        bundles: &[Bundle<'_>],
        output: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<u64, Error> {
        let layout = Layout::new(contents.engines, bundles, true);
        let mut writer = Writer::new(&mut file, &self.0, layout.room);
        let places = write_engines(bundles, &mut writer)?;
        let front = head::build(contents.form, &places)?;
        writer.skip_to(layout.end);
        if let Some(args) = &contents.args {
            writer.bytes(args::MEMBER, args.as_bytes())?;
        }
        let total = contents.size();
        let mut done = total_size(contents.engines);
        for member in &contents.members {
            writer.source(member, &mut |n| {
                done += n;
                progress(done, total);
            })?;
        }
        let size = writer.finish()?;
        front::replace(&mut file, &self.0, &front, layout.room)?;
        self.become_file(&file, output)?;
        Ok(size)
    }

    /// Gives the file its name, and lets everyone run it.
    pub fn become_file(self, file: &File, output: &Path) -> Result<(), Error> {
        make_executable(file).map_err(Error::io("write", &self.0))?;
        file.sync_all().map_err(Error::io("write", &self.0))?;
        fs::rename(&self.0, output).map_err(Error::io("create", output))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After renaming there is none.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(unix)]
fn make_executable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata()?.permissions().mode();
    // Whoever may read it may run it.
    file.set_permissions(fs::Permissions::from_mode(mode | (mode & 0o444) >> 2))
}

#[cfg(not(unix))]
fn make_executable(_: &File) -> std::io::Result<()> {
    Ok(())
}

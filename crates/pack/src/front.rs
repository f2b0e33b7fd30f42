//! Replacing the front of a file, which holds gigabytes behind it.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::archive::Archive;
use crate::bundle::bundles;
use crate::engine::{self, Engine};
use crate::head::{self, Form, Placed};
use crate::layout::Part;
use crate::{Error, image};

/// What tells a system how to start a file fits into one page, which is written last.
const FIRST: usize = 4096;

/// Gives a packed file another front: in place, or in a copy at `output`.
///
/// What is stored stays where it is, so that this takes no longer for large models. Copies share
/// blocks with the file where the file system can.
///
/// # Errors
/// A file that is damaged or can't be written, or has no engine of that form.
pub fn retarget(path: &Path, form: Form, output: Option<&Path>) -> Result<(), Error> {
    let archive = Archive::open(path)?;
    let engines = engine::from_archive(&archive)?;
    let front = head::build(form, &placed(&archive, &engines)?)?;
    let room = room(&archive);
    edit(path, output, &mut |file, path| replace(file, path, &front, room))
}

/// Bytes before the first member.
pub(crate) fn room(archive: &Archive) -> u64 {
    archive.entries().first().map_or(archive.directory, |entry| entry.record.header)
}

/// Engines with the places that they have in the file.
pub(crate) fn placed<'a>(
    archive: &Archive,
    engines: &'a [Engine],
) -> Result<Vec<Placed<'a>>, Error> {
    let range = |name: &str| Some(archive.entry(name)?.data.clone());
    Ok(bundles(engines, &mut |_| ())?.iter().flat_map(|bundle| bundle.placed(&range)).collect())
}

/// The form that a file has now.
///
/// # Errors
/// A file that can't be read, or does not start on any system.
pub fn form(path: &Path) -> Result<Form, Error> {
    let mut front = Vec::new();
    File::open(path)
        .and_then(|file| file.take(image::FRONT).read_to_end(&mut front))
        .map_err(Error::io("read", path))?;
    Form::of(&front).ok_or_else(|| Error::damaged(path, "its front is none of a llamafile"))
}

/// Changes a file in place, or a copy of it at `output`.
///
/// On macOS it is always a copy, which takes the file's place: the system remembers signatures of
/// files that ran, and ends the next run of one that was changed in place.
pub(crate) fn edit(
    path: &Path,
    output: Option<&Path>,
    change: &mut dyn FnMut(&mut File, &Path) -> Result<(), Error>,
) -> Result<(), Error> {
    let output = output.or(cfg!(target_os = "macos").then_some(path));
    let open = |path: &Path| {
        File::options().read(true).write(true).open(path).map_err(Error::io("write", path))
    };
    let Some(output) = output else {
        let mut file = open(path)?;
        change(&mut file, path)?;
        return file.sync_all().map_err(Error::io("write", path));
    };
    let part = Part::new(output);
    fs::copy(path, &part.0).map_err(Error::io("copy", path))?;
    let mut file = open(&part.0)?;
    change(&mut file, &part.0)?;
    part.become_file(&file, output)
}

/// Writes a front into the first `room` bytes of a file, zeros behind it, its first page last: if
/// this is cut short, a script still finds its engines.
pub(crate) fn replace(file: &mut File, path: &Path, front: &[u8], room: u64) -> Result<(), Error> {
    let need = front.len() as u64;
    if need > room {
        return Err(Error::Room { path: path.to_owned(), need, room });
    }
    let (first, rest) = front.split_at(FIRST.min(front.len()));
    let mut write = || {
        file.seek(SeekFrom::Start(first.len() as u64))?;
        file.write_all(rest)?;
        std::io::copy(&mut std::io::repeat(0).take(room - need), file)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(first)
    };
    write().map_err(Error::io("write", path))
}

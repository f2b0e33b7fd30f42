//! Swapping the engines of a file, also of files of the original project.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use crate::archive::{Archive, Entry};
use crate::bundle::{Bundle, Kind, bundles};
use crate::engine::{self, Engine};
use crate::front::{edit, form, replace};
use crate::head::{self, Form};
use crate::layout::{Contents, Layout, Part, write_engines};
use crate::writer::{SUMS, Source, Writer, sums};
use crate::{Error, args};

/// Most bytes of texts that are read into memory.
const MAX_TEXT: u64 = 16 << 20;

/// Gives a file other engines, and a front of the given form (or of the form it has); in place, or
/// in a copy at `output`.
///
/// Models and arguments are kept. They stay where they are if the engines fit before them, which
/// takes a moment; otherwise the file is written anew. `progress` hears of bytes done, and of all
/// bytes of the engines and of what is written anew. Icon, name and version that Windows shows are
/// kept, too. What the engines of the original project kept in the file for themselves is left out.
///
/// # Errors
/// A file that is damaged or can't be written, or no engine of that form.
pub fn upgrade(
    path: &Path,
    engines: &[Engine],
    wish: Option<Form>,
    output: Option<&Path>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Error> {
    let archive = Archive::open(path)?;
    let engines = &described(&archive, engines)?[..];
    let form = wish.map_or_else(|| form(path), Ok)?;
    let kept = kept(&archive);
    let start = kept.iter().map(|entry| entry.record.header).min().unwrap_or(archive.directory);
    let total = engine::total_size(engines);
    let mut done = 0;
    let bundles = bundles(engines, &mut |n| {
        done += n;
        progress(done, total);
    })?;
    let layout = [true, false].map(|spare| Layout::new(engines, &bundles, spare));
    match layout.iter().find(|layout| layout.end <= start) {
        Some(layout) => {
            let old = old_sums(&archive)?;
            edit(path, output, &mut |file, path| {
                swap(file, path, layout, &bundles, form, &kept, &old)
            })
        }
        None => {
            let contents = contents(&archive, engines, form, &kept)?;
            let output = output.unwrap_or(path);
            let part = Part::new(output);
            let file = part.create()?;
            part.fill(file, &contents, &bundles, output, progress).map(|_| ())
        }
    }
}

/// The engines, with the icon and the name that the file has on Windows.
fn described(archive: &Archive, engines: &[Engine]) -> Result<Vec<Engine>, Error> {
    let old = engine::from_archive(archive)?;
    let describe = |engine: Engine| match old.iter().find(|old| old.target() == engine.target()) {
        Some(old) => engine.described_as(old),
        None => Ok(engine),
    };
    engines.iter().cloned().map(describe).collect()
}

/// What stays in the file.
fn kept(archive: &Archive) -> Vec<&Entry> {
    let own = archive.entry(SUMS).is_some();
    let keep = |entry: &&Entry| {
        let name = entry.name();
        let ours = own && Kind::of(name) == Kind::Other && name != SUMS;
        ours || name == args::MEMBER || entry.is_model()
    };
    archive.entries().iter().filter(keep).collect()
}

fn old_sums(archive: &Archive) -> Result<HashMap<String, String>, Error> {
    if archive.entry(SUMS).is_none() {
        return Ok(HashMap::new());
    }
    let text = archive.read(SUMS, MAX_TEXT)?;
    let text = String::from_utf8_lossy(&text);
    Ok(sums(&text).map(|(sum, name)| (name.to_owned(), sum.to_owned())).collect())
}

/// Writes engines and list into a file whose other members stay in place.
fn swap(
    file: &mut File,
    path: &Path,
    layout: &Layout,
    bundles: &[Bundle<'_>],
    form: Form,
    kept: &[&Entry],
    old: &HashMap<String, String>,
) -> Result<(), Error> {
    let mut writer = Writer::new(file, path, layout.room);
    let places = write_engines(bundles, &mut writer)?;
    let front = head::build(form, &places)?;
    for entry in kept {
        let sum = old.get(entry.name()).map(String::as_str);
        writer.keep(entry.record.clone(), entry.data.end, sum);
    }
    writer.finish()?;
    replace(file, path, &front, layout.room)
}

/// The same as contents of a new file.
fn contents<'a>(
    archive: &Archive,
    engines: &'a [Engine],
    form: Form,
    kept: &[&Entry],
) -> Result<Contents<'a>, Error> {
    let mut members = Vec::new();
    for entry in kept.iter().filter(|entry| entry.name() != args::MEMBER) {
        let name = entry.name().to_owned();
        let compressed = || Error::damaged(archive.path(), format!("{name} is compressed"));
        let range = entry.range().ok_or_else(compressed)?;
        members.push(Source { name, path: archive.path().to_owned(), range });
    }
    let args = args::of_archive(archive)?;
    Ok(Contents { form, engines, args, members })
}

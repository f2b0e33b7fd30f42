//! One file that holds a model and the program for every system.
//!
//! [`pack`] writes such a file, [`Archive`] reads what is stored in it, [`retarget`] gives it
//! another front, [`upgrade`] other engines, and [`Archive::verify`] proves it whole. Where things
//! are in it is told in [`layout`](pack); `docs/packing.md` has the picture and the reasons.
#![forbid(unsafe_code)]

mod about;
mod archive;
pub mod args;
mod bundle;
mod bytes;
mod cksum;
mod elf;
pub mod engine;
mod error;
mod front;
mod head;
mod image;
mod layout;
mod macho;
mod pe;
mod resources;
mod script;
mod signature;
mod target;
mod unpack;
mod upgrade;
mod verify;
mod writer;
mod zip;

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

pub use about::{About, Icon, Name, Version};
pub use archive::{Archive, Entry};
pub use engine::Engine;
pub use error::Error;
pub use front::{form, retarget};
pub use head::Form;
pub use layout::{Contents, pack};
pub use target::{Arch, Os, Target};
pub use unpack::unpack;
pub use upgrade::upgrade;
pub use verify::Verified;
pub use writer::Source;

/// Whether a file without members is the front of one that had some: behind its executable come the
/// zeros before the first member, and at most a part of the members.
///
/// # Errors
/// A file that can't be read.
pub fn is_cut_off(path: &Path) -> Result<bool, Error> {
    let failed = Error::io("read", path);
    let read = || {
        let mut file = File::open(path)?;
        let mut front = Vec::new();
        (&file).take(image::FRONT).read_to_end(&mut front)?;
        let Ok(image) = image::inspect(&front) else { return Ok(false) };
        if image.len >= file.metadata()?.len() {
            return Ok(image.len > file.metadata()?.len());
        }
        file.seek(SeekFrom::Start(image.len))?;
        let mut rest = BufReader::new(file).bytes();
        loop {
            match rest.next().transpose()? {
                Some(0) => {}
                Some(b'P') => return Ok(matches!(rest.next().transpose()?, None | Some(b'K'))),
                Some(_) => return Ok(false),
                None => return Ok(true),
            }
        }
    };
    read().map_err(failed)
}

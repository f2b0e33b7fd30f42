//! The front of a file: what makes a system start it.

use std::ops::Range;

use crate::Error;
use crate::cksum::cksum;
use crate::engine::Engine;
use crate::script::{self, Place};
use crate::target::Target;
use crate::{image, pe};

/// What the front of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// An executable for Windows and a script for Unix at once.
    Portable,
    /// A script for every Unix, which also starts without a shell.
    Unix,
    /// A true executable for one system.
    Native(Target),
}

impl Form {
    /// The form of a file that begins with `front`, of at least [`image::FRONT`] bytes if it has as
    /// many. Files of the original project are portable.
    pub(crate) fn of(front: &[u8]) -> Option<Self> {
        if front.starts_with(script::PORTABLE_MAGIC) || front.starts_with(b"MZqFpD='") {
            Some(Self::Portable)
        } else if front.starts_with(b"#!") {
            Some(Self::Unix)
        } else {
            image::inspect(front).ok().map(|image| Self::Native(image.target))
        }
    }

    /// The name: `portable`, `unix` or that of the system.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Unix => "unix",
            Self::Native(target) => target.name(),
        }
    }

    /// The form of that [name](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "portable" => Some(Self::Portable),
            "unix" => Some(Self::Unix),
            name => Target::from_name(name).map(Self::Native),
        }
    }
}

/// An engine and where it is in the file.
pub(crate) struct Placed<'a> {
    pub engine: &'a Engine,
    /// Where the bytes begin that it is compressed in, maybe with others.
    pub offset: u64,
    /// What `cksum` says of these.
    pub cksum: String,
    /// Bytes of other engines before it, among what they hold.
    pub skip: u64,
    /// Where the program is that takes it out there.
    pub unpacker: Option<Range<u64>>,
}

/// Bytes that the largest possible front takes with these engines.
pub(crate) fn room(engines: &[Engine]) -> u64 {
    let largest = engines.iter().map(|engine| engine.executable().len() as u64).max();
    largest.unwrap_or(0) + pe::HEADERS
}

/// The front of a file.
pub(crate) fn build(form: Form, engines: &[Placed<'_>]) -> Result<Vec<u8>, Error> {
    let find = |target: Target| {
        let found = engines.iter().find(|placed| placed.engine.target() == target);
        found.map(|placed| placed.engine).ok_or_else(|| missing(target, engines))
    };
    match form {
        Form::Portable => {
            let windows = find(Target::WINDOWS)?;
            let front = script::portable(&places(engines));
            pe::behind(&front, windows.executable())
                .map_err(|problem| Error::engine(windows.target().name(), problem))
        }
        Form::Unix => Ok(script::unix(&places(engines))),
        Form::Native(target) => Ok(find(target)?.executable().to_vec()),
    }
}

fn places(engines: &[Placed<'_>]) -> Vec<Place> {
    engines
        .iter()
        .map(|placed| Place {
            target: placed.engine.target(),
            offset: placed.offset,
            stored: placed.cksum.clone(),
            skip: placed.skip,
            unpacker: placed.unpacker.clone(),
            hash: placed.engine.hash(),
            cksum: cksum(placed.engine.executable()),
        })
        .collect()
}

fn missing(target: Target, engines: &[Placed<'_>]) -> Error {
    let names: Vec<&str> = engines.iter().map(|placed| placed.engine.target().name()).collect();
    Error::NoEngine { target: target.to_string(), available: names.join(", ") }
}

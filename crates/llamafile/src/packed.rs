//! What is packed with the program: models and arguments in the file that it was started from.
//!
//! That is the executable itself, or the file that `--llamafile` names as the first argument, as
//! the script in a portable file does. An executable without models takes those of a file of its
//! name beside it, `NAME.llamafile` or `NAME.gguf`: Windows starts no executable of 4 GB.

use std::env;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gguf::Location;
use pack::{Archive, Error};

use crate::args::is_subcommand;
use crate::error::CliError;

/// Where names of packed files begin, for users and in `.args`.
const ZIP: &str = "/zip/";
/// Most bytes of a text.
const MAX_TEXT: u64 = 64 << 20;

/// First arguments with which `.args` does not count, beside those of [`crate::args::is_subcommand`]:
/// they are no conversation.
const COMMANDS: &[&str] =
    &["pull", "help", "version", "--help", "-h", "--usage", "--version", "--install"];

/// What is packed with the program.
#[derive(Debug, Default)]
struct Own {
    /// The file that was started.
    path: Option<PathBuf>,
    /// What is packed in it and in the one beside it.
    archives: Vec<Archive>,
    /// A model beside it.
    beside: Option<PathBuf>,
}

/// Found once, at the start.
static OWN: OnceLock<Own> = OnceLock::new();

/// Finds what is packed with the program, and returns the arguments with those of `.args`.
pub fn start(mut arguments: Vec<String>) -> Result<Vec<String>, CliError> {
    let own = if arguments.first().is_some_and(|first| first == "--llamafile") {
        arguments.remove(0);
        if arguments.is_empty() {
            return Err(CliError::new("--llamafile needs a value: --llamafile FILE"));
        }
        let path = PathBuf::from(arguments.remove(0));
        let archive = Archive::open(&path).map_err(explain)?;
        Own::new(path, Some(archive))?
    } else {
        match executable() {
            Some(path) => {
                let archive = own_archive(&path)?;
                Own::new(path, archive)?
            }
            None => Own::default(),
        }
    };
    let command = arguments
        .first()
        .is_some_and(|first| COMMANDS.contains(&first.as_str()) || is_subcommand(first));
    if !command {
        for archive in &own.archives {
            if let Some(text) = pack::args::of_archive(archive).map_err(explain)? {
                arguments = pack::args::expand(&text, arguments);
                break;
            }
        }
    }
    OWN.get_or_init(|| own);
    Ok(arguments)
}

/// The file that was started, and what is packed in it.
pub fn own() -> Option<(&'static Path, Option<&'static Archive>)> {
    let own = OWN.get()?;
    let path = own.path.as_deref()?;
    Some((path, own.archives.iter().find(|archive| archive.path() == path)))
}

/// The model that is called `given`, or the one to use when none is given; `None` where it is not
/// a file and not packed.
pub fn model(given: Option<&str>) -> Result<Option<Location>, CliError> {
    let own = OWN.get_or_init(Own::default);
    let Some(given) = given else { return own.default_model() };
    if let Some(name) = given.strip_prefix(ZIP) {
        let found = own.model(name)?;
        return found.map(Some).ok_or_else(|| {
            CliError::new(format!("there is no {given}: no file of that name is packed here"))
                .hint("'llamafile inspect FILE' lists what is packed in a file")
        });
    }
    let path = Path::new(given);
    if path.exists() {
        return stored_or_plain(path).map(Some);
    }
    if let Some((container, name)) = given.rsplit_once('@').filter(|(file, _)| is_file(file)) {
        let archive = Archive::open(Path::new(container)).map_err(explain)?;
        return archive.model(name).map(Some).map_err(explain);
    }
    own.model(given)
}

/// A text that is packed with the program and called `/zip/NAME`.
pub fn text(path: &str) -> Option<Result<Vec<u8>, CliError>> {
    let name = path.strip_prefix(ZIP)?;
    let archive = OWN.get()?.archives.iter().find(|archive| archive.entry(name).is_some())?;
    Some(archive.read(name, MAX_TEXT).map_err(explain))
}

impl Own {
    fn new(path: PathBuf, archive: Option<Archive>) -> Result<Self, CliError> {
        let mut own =
            Self { path: Some(path), archives: archive.into_iter().collect(), beside: None };
        let path = own.path.as_deref().unwrap_or(Path::new(""));
        if own.archives.iter().flat_map(Archive::entries).any(pack::Entry::is_model) {
            return Ok(own);
        }
        let companion = path.with_extension("llamafile");
        if companion != path && companion.is_file() {
            own.archives.push(Archive::open(&companion).map_err(explain)?);
        } else {
            own.beside = Some(path.with_extension("gguf")).filter(|path| path.is_file());
        }
        Ok(own)
    }

    fn model(&self, name: &str) -> Result<Option<Location>, CliError> {
        let archive = self.archives.iter().find(|archive| archive.entry(name).is_some());
        archive.map(|archive| archive.model(name)).transpose().map_err(explain)
    }

    fn default_model(&self) -> Result<Option<Location>, CliError> {
        for archive in &self.archives {
            if let Some(model) = only_model(archive)? {
                return Ok(Some(model));
            }
        }
        Ok(self.beside.as_deref().map(Location::from))
    }
}

/// A model file, or the model that is packed in a file.
pub fn stored_or_plain(path: &Path) -> Result<Location, CliError> {
    let is_model = path.extension().is_some_and(|extension| extension == "gguf");
    if is_model || !path.is_file() {
        return Ok(path.into());
    }
    match Archive::find(path).map_err(explain)? {
        Some(archive) => Ok(only_model(&archive)?.unwrap_or_else(|| path.into())),
        None => Ok(path.into()),
    }
}

/// The model that a file is for: the only one, or the one that its `.args` names.
fn only_model(archive: &Archive) -> Result<Option<Location>, CliError> {
    let models = archive.entries().iter().filter(|entry| entry.is_model());
    let names: Vec<&str> = models
        .map(pack::Entry::name)
        .filter(|name| is_first(name) && !name.contains("mmproj"))
        .collect();
    let name = match names[..] {
        [] => return Ok(None),
        [name] => name.to_owned(),
        _ => named_model(archive)?.ok_or_else(|| {
            let file = archive.path().display();
            CliError::new(format!("{file} holds several models: {}", names.join(", ")))
                .hint(format!("name one: -m '{file}@{}'", names[0]))
        })?,
    };
    archive.model(&name).map(Some).map_err(explain)
}

/// The model that `.args` names with `-m`.
fn named_model(archive: &Archive) -> Result<Option<String>, CliError> {
    let text = pack::args::of_archive(archive).map_err(explain)?.unwrap_or_default();
    let arguments = pack::args::expand(&text, Vec::new());
    let flag = arguments.iter().position(|argument| argument == "-m" || argument == "--model");
    let name = flag.and_then(|flag| arguments.get(flag + 1));
    let name = name.map(|name| name.strip_prefix(ZIP).unwrap_or(name).to_owned());
    Ok(name.filter(|name| archive.entry(name).is_some()))
}

/// Whether a model is in one file, or this is the first of its shards.
fn is_first(name: &str) -> bool {
    let stem = name.trim_end_matches(".gguf");
    let shard = stem.rsplit_once("-of-").and_then(|(rest, _)| rest.rsplit_once('-'));
    shard.and_then(|(_, no)| no.parse::<u32>().ok()).is_none_or(|no| no == 1)
}

/// What is packed in the executable.
fn own_archive(path: &Path) -> Result<Option<Archive>, CliError> {
    let archive = match Archive::find(path) {
        // A file that may be run but not read has nothing packed.
        Err(Error::Io { .. }) => return Ok(None),
        found => found.map_err(explain)?,
    };
    if archive.is_none() && pack::is_cut_off(path).unwrap_or(false) {
        return Err(CliError::new(format!("{}: the end of the file is missing", path.display()))
            .hint("it was not fetched or copied to the end; fetch it again"));
    }
    Ok(archive)
}

/// The file of this program. Where the system can't tell (Linux without `/proc`), it is the path
/// that the program was started by.
fn executable() -> Option<PathBuf> {
    env::current_exe().ok().or_else(|| {
        let path = PathBuf::from(env::args_os().next()?);
        path.is_file().then_some(path)
    })
}

fn is_file(path: &str) -> bool {
    Path::new(path).is_file()
}

/// An error with its remedy.
pub fn explain(error: Error) -> CliError {
    let cause = CliError::new(&error);
    match error {
        Error::NotPacked { .. } => cause
            .hint("if it is a llamafile, it was not fetched or copied to the end: fetch it again"),
        Error::NoEntry { .. } => {
            cause.hint("'llamafile inspect FILE' lists what is packed in a file")
        }
        Error::NoEngine { .. } => cause.hint("give a folder that has one with --engines"),
        Error::Engine { .. } => cause.hint("use executables as they were released"),
        Error::Name { .. } => cause.hint("rename the file"),
        Error::Io { error, .. } if error.kind() == ErrorKind::ExecutableFileBusy => {
            cause.hint("it is running: end it first, or write another file with -o")
        }
        Error::Room { .. } => cause.hint("'llamafile upgrade' makes room"),
        _ => cause,
    }
}

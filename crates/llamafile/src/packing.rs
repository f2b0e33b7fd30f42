//! `llamafile pack` and the other commands on packed files.

use std::fs;
use std::path::{Path, PathBuf};

use pack::{About, Archive, Contents, Engine, Form, Os, Source, Target};

use crate::answer::Output;
use crate::args;
use crate::error::CliError;
use crate::generator;
use crate::packed::{self, explain};
use crate::settings::{Packing, Settings};
use crate::terminal::{Progress, Unit};

/// Windows starts no executable as large as this.
const WINDOWS_LIMIT: u64 = 4 << 30;

/// Writes a file that holds models, arguments and engines.
pub fn pack(wish: &Packing) -> Result<(), CliError> {
    let engines = describe(engines(wish)?, &wish.about)?;
    let form = wish.form.unwrap_or_else(|| default_form(&engines));
    let files = with_shards(&wish.files)?;
    let members = files.iter().map(|path| Source::file(path)).collect::<Result<Vec<_>, _>>();
    let members = members.map_err(explain)?;
    let model = wish.files.iter().find(|file| is_model(file));
    if let Some(model) = model {
        // A model that does not load shall not be handed on.
        generator::load(&model.into(), &Settings::default())?;
    }
    let args = arguments(wish, model, &members)?;
    let output = match (&wish.output, model.or(files.first())) {
        (Some(output), _) => output.clone(),
        (None, Some(model)) => PathBuf::from(model.file_name().unwrap_or_default())
            .with_extension(if windows(form) { "exe" } else { "llamafile" }),
        (None, None) => return Err(CliError::new("pack needs -o for a file without a model")),
    };
    if files.iter().any(|file| same_file(file, &output)) {
        return Err(CliError::new(format!("{} is to be packed itself", output.display()))
            .hint("give another name with -o"));
    }
    let contents = Contents { form, engines: &engines, args, members };
    let size = write(&contents, &output)?;
    eprintln!("{}: {:.1} MB, engines for {}", output.display(), mb(size), systems(&engines));
    if size >= WINDOWS_LIMIT && (form == Form::Portable || windows(form)) {
        pack_companion(contents, &output)?;
    }
    Ok(())
}

/// Beside a file that is too large for Windows, an executable that takes its models from there.
fn pack_companion(contents: Contents<'_>, output: &Path) -> Result<(), CliError> {
    let exe = output.with_extension("exe");
    if windows(contents.form) || exe == output {
        return Err(CliError::new(format!(
            "{}: Windows starts no file of 4 GB or more",
            output.display()
        ))
        .hint("pack it with --portable all, which adds a small .exe for Windows"));
    }
    let form = Form::Native(Target::WINDOWS);
    write(&Contents { form, args: None, members: Vec::new(), ..contents }, &exe)?;
    eprintln!(
        "note: Windows starts no file of 4 GB or more. There, {} starts the models of {} beside it.",
        exe.display(),
        output.display()
    );
    Ok(())
}

fn write(contents: &Contents<'_>, output: &Path) -> Result<u64, CliError> {
    let mut progress = Progress::new("Packing", Unit::Bytes, 0);
    pack::pack(contents, output, &mut |done, total| progress.update(done, total)).map_err(explain)
}

/// Gives a packed file another front.
pub fn retarget(wish: &Packing) -> Result<(), CliError> {
    let (Some(form), [file]) = (wish.form, &wish.files[..]) else { return Ok(()) };
    if wish.engines.is_some() {
        return upgrade(wish);
    }
    pack::retarget(file, form, wish.output.as_deref()).map_err(explain)?;
    retargeted(wish.output.as_deref().unwrap_or(file), form);
    Ok(())
}

/// Makes the file that was started an executable of this machine.
pub fn install() -> Result<(), CliError> {
    let unpacked = || {
        CliError::new("this program has nothing packed with it")
            .hint("--install is for files that 'llamafile pack' made")
    };
    let (path, archive) = packed::own().ok_or_else(unpacked)?;
    archive.ok_or_else(unpacked)?;
    let target = Target::host().ok_or_else(|| {
        CliError::new("this system is none that files are made for")
            .hint("'llamafile retarget --os SYSTEM FILE' makes an executable of another")
    })?;
    let form = Form::Native(target);
    // A running executable can't be written, and need not be.
    if pack::form(path).map_err(explain)? != form {
        pack::retarget(path, form, None).map_err(explain)?;
    }
    retargeted(path, form);
    Ok(())
}

fn retargeted(path: &Path, form: Form) {
    eprintln!("{}: now {}", path.display(), form.name());
    if windows(form) && path.extension().is_none_or(|extension| extension != "exe") {
        eprintln!("note: Windows starts it only under a name that ends in .exe");
    }
}

/// Gives a packed file other engines.
pub fn upgrade(wish: &Packing) -> Result<(), CliError> {
    let [file] = &wish.files[..] else { return Ok(()) };
    let engines = engines(wish)?;
    let mut progress = Progress::new("Writing", Unit::Bytes, 0);
    let output = wish.output.as_deref();
    pack::upgrade(file, &engines, wish.form, output, &mut |done, total| {
        progress.update(done, total);
    })
    .map_err(explain)?;
    let file = output.unwrap_or(file);
    eprintln!("{}: now with engines for {}", file.display(), systems(&engines));
    Ok(())
}

/// The list of what is packed in a file.
pub fn list(archive: &Archive) -> Result<String, CliError> {
    let form = pack::form(archive.path()).map_or("unknown", Form::name);
    let mut text = format!("{}: {form}\n", archive.path().display());
    for entry in archive.entries() {
        let offset = entry.range().map_or("compressed".to_owned(), |range| range.start.to_string());
        text += &format!("{:>14} bytes at {offset:>14}  {}\n", entry.size(), entry.name());
    }
    // Several may be compressed together.
    match pack::engine::from_archive(archive) {
        Ok(engines) if engines.is_empty() => {}
        Ok(engines) => text += &format!("engines for {}\n", systems(&engines)),
        Err(error) => text += &format!("engines: {error}\n"),
    }
    if let Some(args) = pack::args::of_archive(archive).map_err(explain)? {
        let args = pack::args::expand(&args, vec!["...".into()]);
        text += &format!("starts with: {}\n", args.join(" "));
    }
    if let Some(model) = archive.entries().iter().find(|entry| entry.is_model()) {
        let (file, name) = (archive.path().display(), model.name());
        text += &format!("of a model itself: llamafile inspect '{file}@{name}'\n");
    }
    Ok(text)
}

/// Takes out what is packed in a file.
pub fn unpack(wish: &Packing) -> Result<(), CliError> {
    let [file] = &wish.files[..] else { return Ok(()) };
    let archive = Archive::open(file).map_err(explain)?;
    let folder = wish.output.as_deref().unwrap_or(Path::new("."));
    let mut progress = Progress::new("Unpacking", Unit::Bytes, 0);
    let files = pack::unpack(&archive, folder, &mut |done, total| progress.update(done, total))
        .map_err(explain)?;
    drop(progress);
    print(&files.iter().map(|file| format!("{}\n", file.display())).collect::<String>())
}

/// Reads all of a file and proves that it is whole.
pub fn verify(wish: &Packing) -> Result<(), CliError> {
    let [file] = &wish.files[..] else { return Ok(()) };
    let archive = Archive::open(file).map_err(explain)?;
    let mut progress = Progress::new("Verifying", Unit::Bytes, 0);
    let verified =
        archive.verify(&mut |done, total| progress.update(done, total)).map_err(explain)?;
    drop(progress);
    let line = |(name, sum, listed): &(String, String, bool)| {
        format!("{sum}  {name}{}\n", if *listed { "" } else { "  (CRC-32 only)" })
    };
    let members: String = verified.members.iter().map(line).collect();
    print(&format!("{members}{}: whole\n", file.display()))
}

/// The engines of `--engines`, of this program's file, or this program alone.
fn engines(wish: &Packing) -> Result<Vec<Engine>, CliError> {
    if let Some(folder) = &wish.engines {
        return pack::engine::from_folder(folder).map_err(explain);
    }
    let (path, archive) = packed::own().ok_or_else(|| {
        CliError::new("this program cannot find its own file").hint("give --engines DIR")
    })?;
    if let Some(archive) = archive {
        let engines = pack::engine::from_archive(archive).map_err(explain)?;
        if !engines.is_empty() {
            return Ok(engines);
        }
    }
    let engine = pack::engine::from_executable(path).map_err(explain)?;
    eprintln!(
        "warning: this program carries no engines for other systems, so the file will start on {} \
         only. Pack with the released llamafile, or give --engines DIR.",
        engine.target()
    );
    Ok(vec![engine])
}

/// The engines, that for Windows with what is to be shown of it.
fn describe(engines: Vec<Engine>, about: &About) -> Result<Vec<Engine>, CliError> {
    if !about.is_empty() && engines.iter().all(|engine| engine.target().os != Os::Windows) {
        return Err(CliError::new(
            "--icon, --name and --app-version are for Windows, and there is no engine for it",
        )
        .hint("give a folder that has one with --engines"));
    }
    engines.into_iter().map(|engine| engine.described(about).map_err(explain)).collect()
}

/// The names of the engines' systems.
fn systems(engines: &[Engine]) -> String {
    let names: Vec<&str> = engines.iter().map(|engine| engine.target().name()).collect();
    names.join(", ")
}

fn default_form(engines: &[Engine]) -> Form {
    match engines {
        [engine] => Form::Native(engine.target()),
        _ if engines.iter().any(|engine| engine.target() == Target::WINDOWS) => Form::Portable,
        _ => Form::Unix,
    }
}

/// The text of `.args`; without a wish it names the model.
fn arguments(
    wish: &Packing,
    model: Option<&PathBuf>,
    members: &[Source],
) -> Result<Option<String>, CliError> {
    let model = model.map(|model| {
        let name = model.file_name().unwrap_or_default().to_string_lossy();
        ["-m".to_owned(), format!("/zip/{name}")]
    });
    let model = model.iter().flatten().map(String::as_str);
    let text = match (&wish.args, &wish.arguments) {
        (Some(text), _) => Some(Ok(text.clone())),
        (None, Some(arguments)) => {
            let named = arguments.iter().any(|word| word == "-m" || word == "--model");
            let arguments = arguments.iter().map(String::as_str);
            Some(pack::args::text(model.filter(|_| !named).chain(arguments)))
        }
        (None, None) => model.clone().next().map(|_| pack::args::text(model)),
    };
    let text = text.transpose().map_err(explain)?;
    if let Some(text) = &text {
        // What is packed is read from where it comes from.
        let source = |argument: String| {
            let name = argument.strip_prefix("/zip/").unwrap_or_default();
            let member = members.iter().find(|member| member.name == name);
            member.map_or(argument.clone(), |member| member.path.display().to_string())
        };
        let arguments = pack::args::expand(text, Vec::new()).into_iter().map(source).collect();
        args::parse(arguments, |_| None).map_err(|error| error.within("arguments to pack"))?;
    }
    Ok(text)
}

fn is_model(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gguf")
}

/// The models, and with the first file of a split model all others that lie beside it.
fn with_shards(models: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut all: Vec<PathBuf> = Vec::new();
    for model in models {
        let shards = shards(model);
        if let Some(missing) = shards.iter().find(|shard| !shard.is_file()) {
            return Err(CliError::new(format!("there is no model file {}", missing.display()))
                .hint("a split model is packed with all its files, which lie in one folder"));
        }
        all.extend(shards.into_iter().filter(|shard| !models.contains(shard) || shard == model));
    }
    let mut seen = std::collections::HashSet::new();
    all.retain(|model| seen.insert(model.clone()));
    Ok(all)
}

/// All files of a model that is named `NAME-00001-of-00003.gguf`, else the file itself.
fn shards(model: &Path) -> Vec<PathBuf> {
    let own = || vec![model.to_owned()];
    let name = model.file_name().unwrap_or_default().to_string_lossy();
    let Some((rest, count)) = name.strip_suffix(".gguf").and_then(|stem| stem.rsplit_once("-of-"))
    else {
        return own();
    };
    let first = rest.strip_suffix("-00001");
    match (first, count.parse::<u32>()) {
        (Some(base), Ok(n)) if count.len() == 5 && n > 0 => (1..=n)
            .map(|no| model.with_file_name(format!("{base}-{no:05}-of-{count}.gguf")))
            .collect(),
        _ => own(),
    }
}

fn windows(form: Form) -> bool {
    matches!(form, Form::Native(target) if target.os == Os::Windows)
}

fn same_file(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    real(one).is_some_and(|one| real(other) == Some(one))
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Writes to standard output; a reader that went away is no error.
fn print(text: &str) -> Result<(), CliError> {
    let mut out = Output::new();
    let _ = out.write(text);
    out.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_shard_stands_for_all() {
        let names = |path: &str| -> Vec<String> {
            let shards = shards(Path::new(path)).into_iter();
            shards.map(|path| path.display().to_string()).collect()
        };
        assert_eq!(
            names("d/m-00001-of-00002.gguf"),
            ["d/m-00001-of-00002.gguf", "d/m-00002-of-00002.gguf"]
        );
        for single in ["m.gguf", "m-of-x.gguf", "m-00002-of-00002.gguf", "m-1-of-2.gguf"] {
            assert_eq!(names(single), [single]);
        }
    }
}

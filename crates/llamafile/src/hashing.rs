//! `llamafile hash`.

use std::fs;

use tools::hash::{self, Algorithm, Event, Manifest, Verdict};

use crate::answer::Output;
use crate::error::{CliError, describe};
use crate::settings::Settings;
use crate::terminal::{Progress, Unit};
use crate::{measuring, models};

/// Prints the hashes of a model's weights, or compares them with those of a manifest.
pub fn hash(settings: &Settings) -> Result<(), CliError> {
    let wish = &settings.hash;
    let given = settings.model.as_deref().unwrap_or_default();
    let file = models::resolve(Some(given), true)?;
    let model = file.open().map_err(|error| measuring::explain(error.into()))?;
    let mut out = Output::new();
    let manifest = wish.manifest.as_deref().map(read).transpose()?;
    let mut algorithms = wish.algorithms.clone();
    algorithms.sort_by_key(|algorithm| Algorithm::ALL.iter().position(|one| one == algorithm));
    if let (Some(path), Some(manifest)) = (&wish.manifest, &manifest) {
        let names: Vec<&str> = manifest.algorithms().into_iter().map(Algorithm::name).collect();
        let _ = out.write(&format!("manifest  {}  {}\n", path.display(), names.join("  ")));
        algorithms.extend(manifest.strongest().filter(|_| wish.algorithms.is_empty()));
    }
    if algorithms.is_empty() {
        algorithms.push(Algorithm::Xxh64);
    }
    let mut progress = Progress::new("Hashing", Unit::Bytes, 0);
    let (mut same, mut other) = (0, 0);
    hash::hash(&model, &algorithms, !wish.whole_only, &mut |event| match event {
        Event::Progress(done, total) => progress.update(done, total),
        Event::Done(hash) => {
            let line = hash.line(given);
            let verdict = manifest.as_ref().map(|manifest| manifest.check(&hash, given));
            same += usize::from(verdict == Some(Verdict::Ok));
            other += usize::from(verdict == Some(Verdict::Mismatch));
            // A reader that went away is noticed at the end.
            let _ = match verdict {
                None => out.write(&format!("{line}\n")),
                Some(verdict) => out.write(&format!("{line}  -  {}\n", verdict.name())),
            };
        }
    });
    drop(progress);
    out.end()?;
    match (manifest, same, other) {
        (None, ..) => Ok(()),
        (_, 0, 0) => Err(CliError::new(format!("the manifest has no hash of {given}"))
            .hint("give the file by the name that it has in the manifest")),
        (_, same, 0) => {
            eprintln!("{given}: all {same} hashes are those of the manifest");
            Ok(())
        }
        (_, same, other) => Err(CliError::new(format!(
            "{given}: {other} of {} hashes are not those of the manifest",
            same + other
        ))
        .hint("the weights were changed or damaged; fetch the file again")),
    }
}

fn read(path: &std::path::Path) -> Result<Manifest, CliError> {
    let hint = "give a file that 'llamafile hash' or llama-gguf-hash printed";
    let text = fs::read_to_string(path).map_err(|error| {
        CliError::new(format!("cannot read {}: {}", path.display(), describe(&error))).hint(hint)
    })?;
    let manifest = Manifest::parse(&text);
    match manifest.strongest() {
        Some(_) => Ok(manifest),
        None => Err(CliError::new(format!("{} has no known hashes", path.display())).hint(hint)),
    }
}

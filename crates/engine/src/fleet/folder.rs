//! The models in a folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gguf::Location;

/// The models in a folder, by name: files `NAME.gguf` and what `locate` finds in files
/// `NAME.llamafile`, the shards of a split model as one, `NAME-00001-of-00003.gguf`; and folders
/// `NAME` in it with one of these. What only goes with models (projectors, drafts) is left out.
///
/// # Errors
/// A folder that can't be read.
pub fn models_in(
    folder: &Path,
    locate: &dyn Fn(&Path) -> Option<Location>,
) -> io::Result<BTreeMap<String, Location>> {
    let mut models = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            let mut files: Vec<PathBuf> =
                fs::read_dir(&path).into_iter().flatten().flatten().map(|e| e.path()).collect();
            // The first shard comes first, or the first of several models.
            files.sort();
            let model = files.iter().find_map(|file| model_at(file, locate));
            if let (Some((_, location)), Some(name)) = (model, path.file_name()) {
                models.insert(name.to_string_lossy().into_owned(), location);
            }
        } else if let Some((name, location)) = model_at(&path, locate) {
            models.insert(name, location);
        }
    }
    Ok(models)
}

/// The model that begins with this file, and its name.
fn model_at(path: &Path, locate: &dyn Fn(&Path) -> Option<Location>) -> Option<(String, Location)> {
    let file_name = path.file_name()?.to_str()?;
    if !path.is_file() || is_companion(file_name) {
        return None;
    }
    if let Some(name) = file_name.strip_suffix(".llamafile") {
        return Some((name.to_owned(), locate(path)?));
    }
    let name = file_name.strip_suffix(".gguf")?;
    let name = match shard(name) {
        Some((name, 1)) => name,
        Some(_) => return None,
        None => name,
    };
    Some((name.to_owned(), path.into()))
}

/// Whether a file only goes with a model.
fn is_companion(file_name: &str) -> bool {
    let name = file_name.to_ascii_lowercase();
    ["mmproj", "draft-", "mtp-", "eagle3-"].iter().any(|prefix| name.starts_with(prefix))
}

/// The name and number of a shard: `NAME-00001-of-00003`.
fn shard(name: &str) -> Option<(&str, u32)> {
    let (rest, count) = name.rsplit_once("-of-")?;
    let (name, number) = rest.rsplit_once('-')?;
    let number_of = |text: &str| (text.len() == 5).then(|| text.parse().ok()).flatten();
    number_of(count).and(number_of(number)).map(|number: u32| (name, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_numbered() {
        assert_eq!(shard("a-b-00001-of-00012"), Some(("a-b", 1)));
        assert_eq!(shard("a-00003-of-00012"), Some(("a", 3)));
        assert_eq!((shard("a-1-of-2"), shard("out-of-range"), shard("a")), (None, None, None));
    }
}

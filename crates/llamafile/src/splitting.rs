//! `llamafile split` and `llamafile merge`.

use std::path::Path;

use gguf::Gguf;
use tools::split::{self, Shard};

use crate::answer::Output;
use crate::error::CliError;
use crate::measuring::explain;
use crate::settings::Split;
use crate::terminal::{Progress, Unit};

/// Spreads a model over several files, and lists them.
pub fn split(wish: &Split) -> Result<(), CliError> {
    let model = open(&wish.input)?;
    let prefix = match wish.output.extension() {
        Some(extension) if extension == "gguf" => wish.output.with_extension(""),
        _ => wish.output.clone(),
    };
    let shards = split::plan(&model, &prefix, wish.limit, wish.no_tensor_first).map_err(explain)?;
    if !wish.dry_run {
        if let Some(shard) = shards.iter().find(|shard| shard.path == wish.input) {
            return Err(overwritten(&shard.path));
        }
        let mut progress = Progress::new("Splitting", Unit::Bytes, 0);
        split::split(&model, &shards, &mut |done, total| progress.update(done, total))
            .map_err(explain)?;
    }
    let line = |Shard { path, tensors, bytes }: &Shard| {
        format!("{}: {} tensors, {:.1} MB\n", path.display(), tensors.len(), *bytes as f64 / 1e6)
    };
    let mut out = Output::new();
    let _ = out.write(&shards.iter().map(line).collect::<String>());
    out.end()
}

/// Joins the files of a split model.
pub fn merge(wish: &Split) -> Result<(), CliError> {
    let model = open(&wish.input)?;
    let n = model.shard_sizes().count();
    if n < 2 {
        return Err(CliError::new(format!("{} is no split model", wish.input.display()))
            .hint("give the first of its files, NAME-00001-of-0000N.gguf"));
    }
    if wish.output.exists() {
        return Err(overwritten(&wish.output));
    }
    if !wish.dry_run {
        let mut progress = Progress::new("Merging", Unit::Bytes, 0);
        split::merge(&model, &wish.output, &mut |done, total| progress.update(done, total))
            .map_err(explain)?;
    }
    let (path, tensors) = (wish.output.display(), model.tensors().len());
    let mut out = Output::new();
    let _ = out.write(&format!("{path}: {tensors} tensors of {n} files\n"));
    out.end()
}

fn open(path: &Path) -> Result<Gguf, CliError> {
    Gguf::open(path).map_err(|error| explain(error.into()))
}

fn overwritten(path: &Path) -> CliError {
    CliError::new(format!("{} would be overwritten", path.display())).hint("give another name")
}

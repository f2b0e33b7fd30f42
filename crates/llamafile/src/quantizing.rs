//! `llamafile quantize`.

use std::fmt::Write;
use std::time::Instant;

use tools::imatrix_file::{self, ImatrixFile};
use tools::quantize::{self, Error, Importance, Options, Planned, Selection, Target};

use crate::answer::Output;
use crate::converting;
use crate::error::CliError;
use crate::settings::Quantize;
use crate::terminal::{Progress, Unit};

/// Writes the quantised model, or tells what it would be.
pub fn quantize(settings: &mut Quantize) -> Result<(), CliError> {
    let Some(target) = settings.target else { return Ok(()) };
    let options = options(target, settings)?;
    let mut out = Output::new();
    if settings.dry_run {
        let tensors = quantize::plan(&settings.input, &options).map_err(explain)?;
        let _ = out.write(&table(&tensors));
        let _ = out.write(&summary(&tensors));
        if let Some(tensor) = tensors.iter().find(|tensor| tensor.requires_importance) {
            let (name, ty) = (&tensor.name, tensor.to);
            let _ = out.write(&format!("{name} as {ty} needs an importance matrix: --imatrix\n"));
        }
        return out.end();
    }
    let begun = Instant::now();
    let mut progress = Progress::new(format!("Quantising to {}", target.name), Unit::Bytes, 0);
    let done = quantize::run(&settings.input, &settings.output, &options, &mut |done, total| {
        progress.update(done, total);
    });
    drop(progress);
    let tensors = done.map_err(explain)?;
    let _ = out.write(&summary(&tensors));
    let seconds = begun.elapsed().as_secs_f64();
    let _ = out.write(&format!("written to {} in {seconds:.1} s\n", settings.output.display()));
    out.end()
}

fn options(target: &'static Target, settings: &mut Quantize) -> Result<Options, CliError> {
    let importance = match &settings.imatrix {
        None => None,
        Some(path) => {
            let selection = match (&settings.include[..], &settings.exclude[..]) {
                ([], []) => Selection::All,
                ([], exclude) => Selection::AllBut(exclude.to_vec()),
                (include, _) => Selection::Only(include.to_vec()),
            };
            let file = ImatrixFile::read(path).map_err(explain_imatrix)?;
            let name = path.to_string_lossy();
            Some(Importance::new(&name, &file, &selection).map_err(explain)?)
        }
    };
    Ok(Options {
        importance,
        output_type: settings.output_type,
        embedding_type: settings.embedding_type,
        overrides: std::mem::take(&mut settings.overrides),
        pure: settings.pure,
        leave_output: settings.leave_output,
        keep_split: settings.keep_split,
        allow_requantise: settings.allow_requantise,
        metadata: std::mem::take(&mut settings.metadata),
        prune: std::mem::take(&mut settings.prune),
        threads: settings.threads,
        ..Options::new(target)
    })
}

/// A line for each tensor.
fn table(tensors: &[Planned]) -> String {
    let mut text = String::new();
    let width = tensors.iter().map(|tensor| tensor.name.len()).max().unwrap_or_default();
    for tensor in tensors {
        let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
        let (name, shape, from, to) = (&tensor.name, shape.join(" × "), tensor.from, tensor.to);
        let (before, after) = (megabytes(tensor.from_bytes), megabytes(tensor.to_bytes));
        let types = if from == to { format!("{from}") } else { format!("{from} → {to}") };
        let sizes = if from == to { after } else { format!("{before} → {after}") };
        let _ = write!(text, "{name:width$}  {shape:18}  {types:18}  {sizes} MB");
        if tensor.wanted != to {
            let _ = write!(text, "  ({} needs rows of whole blocks)", tensor.wanted);
        }
        text.push('\n');
    }
    text
}

/// Sizes in all.
pub fn summary(tensors: &[Planned]) -> String {
    let sum = |size: fn(&Planned) -> u64| tensors.iter().map(size).sum::<u64>();
    let values = sum(|tensor| tensor.shape.iter().product::<usize>() as u64);
    let line = |bytes: u64| {
        let per_weight = bytes as f64 * 8.0 / values.max(1) as f64;
        format!("{} MB ({per_weight:.2} bits per weight)", megabytes(bytes))
    };
    let (before, after) = (sum(|tensor| tensor.from_bytes), sum(|tensor| tensor.to_bytes));
    let replaced = tensors.iter().filter(|tensor| tensor.wanted != tensor.to).count();
    let mut text = format!("{} tensors: {} → {}\n", tensors.len(), line(before), line(after));
    if replaced > 0 {
        let _ = writeln!(text, "{replaced} have another type than meant, to fit their rows");
    }
    text
}

fn megabytes(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / 1e6)
}

/// An error of a file of importances with its remedy.
pub fn explain_imatrix(error: imatrix_file::Error) -> CliError {
    CliError::new(error).hint("make one with 'llamafile imatrix', from the unquantised model")
}

/// An error with its remedy.
pub fn explain(error: Error) -> CliError {
    let cause = CliError::new(&error);
    match error {
        Error::Folder(error) => converting::explain(error),
        Error::File(_) | Error::Read { .. } => {
            cause.hint("give a GGUF model file of 16 or 32 bits that is whole")
        }
        Error::SameFile { .. } => cause.hint("give another output file"),
        Error::Write { .. } => cause.hint("check the folder, and that the disk has room"),
        Error::Requantise { .. } => {
            cause.hint("start from the F16 or BF16 model, or accept the loss: --allow-requantize")
        }
        Error::Convert { .. } | Error::Row { .. } => {
            cause.hint("choose another target, or a type for this tensor with --tensor-type")
        }
        Error::NotFinite { .. } => cause.hint("the model is damaged; fetch or convert it again"),
        Error::TooLarge { .. } => {
            cause.hint("keep this tensor as BF16 or F32 with --tensor-type NAME=bf16")
        }
        Error::NeedsImportance { .. } => cause.hint(
            "give one with --imatrix FILE, or choose a larger target such as Q3_K_S or IQ3_S",
        ),
        Error::Importance { .. } | Error::ImportanceValue { .. } => {
            cause.hint("give the importance matrix of this very model")
        }
    }
}

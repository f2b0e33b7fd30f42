//! `llamafile bench` and `llamafile synth`.

use std::path::Path;

use tools::bench::{self, Event, Report};
use tools::synth;

use crate::answer::Output;
use crate::error::CliError;
use crate::generator;
use crate::models;
use crate::settings::{Bench, Synth};
use crate::terminal::{Progress, Unit};

/// Measures each model and prints a row as soon as it is known.
pub fn bench(settings: &Bench, page: Option<&Path>) -> Result<(), CliError> {
    let files = match &settings.models[..] {
        [] => vec![models::resolve(None, false)?],
        given => given
            .iter()
            .map(|model| models::resolve(Some(model), false))
            .collect::<Result<_, _>>()?,
    };
    let mut out = Output::new();
    let mut report = Report::new(settings.format);
    let mut results = Vec::new();
    for file in files {
        let mut progress = None;
        bench::run(&file, &settings.plan, &mut |event| match event {
            Event::Fault(fault) => generator::warn(fault),
            Event::Progress { test, done, total } => progress
                .get_or_insert_with(|| Progress::new(test, Unit::Tokens, 0))
                .update(done as u64, total as u64),
            Event::Done(measurement) => {
                progress = None;
                // A reader that went away is noticed at the end.
                let _ = out.write(&report.row(measurement));
                results.push(measurement.clone());
            }
        })
        .map_err(explain)?;
    }
    if let Some(last) = results.last() {
        let _ = out.write(&report.end(last));
    }
    if let Some(path) = page {
        bench::page(&results).write(path).map_err(explain)?;
    }
    out.end()
}

/// Writes a model of random weights.
pub fn synth(settings: &Synth) -> Result<(), CliError> {
    let (Some(shape), Some(path)) = (settings.shape, &settings.output) else { return Ok(()) };
    let mut progress = Progress::new("Writing", Unit::Bytes, 0);
    synth::write_file(path, shape, settings.recipe, settings.seed, &mut |done, total| {
        progress.update(done, total);
    })
    .map_err(explain)
}

/// An error with its remedy.
pub fn explain(error: tools::Error) -> CliError {
    use tools::Error;
    let cause = CliError::new(&error);
    match error {
        Error::File(_) => cause.hint("give a GGUF model file with -m"),
        Error::Model { error: model::Error::UnknownArchitecture { .. }, .. } => {
            cause.hint("a newer llamafile may run such models; this one cannot")
        }
        Error::Model { error: model::Error::Backend(_), .. } => {
            cause.hint("give less with -p, -n or -d")
        }
        Error::Model { .. } => cause.hint("fetch or convert the file again"),
        Error::NotGenerative { .. } => cause.hint("use a model that generates text"),
        Error::Placement(error) => generator::explain_placement(&error),
        Error::Plan(error) => generator::explain(&error),
        Error::Isa(_) => cause.hint("unset the variable to use the best of this machine"),
        Error::Kernels(_) => cause.hint("unset the variable to use all kernels"),
        Error::NoEncoder(_) => cause.hint("choose another --type"),
        Error::TooManyFiles { .. } => cause.hint("allow larger files"),
        Error::Write { .. } => cause.hint("check the folder, and that the disk has room"),
    }
}

//! `llamafile selftest`.

use std::sync::{Mutex, PoisonError};

use tools::selftest::{self, Options};

use crate::answer::Output;
use crate::error::CliError;
use crate::measuring;
use crate::settings::Settings;
use crate::terminal::{Progress, Unit};

/// Tests kernels and prints what came of it. A wrong one is an error.
pub fn selftest(settings: &Settings) -> Result<(), CliError> {
    let options = Options { names: settings.kernels.clone(), threads: settings.threads };
    let progress = Mutex::new(Progress::new("Testing", Unit::Kernels, 0));
    let report = selftest::run(&options, &|done, total| {
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.update(done as u64, total as u64);
    });
    drop(progress);
    let report = report.map_err(measuring::explain)?;
    if report.kernels.is_empty() {
        let names = settings.kernels.join(", ");
        return Err(CliError::new(format!("no kernel of this machine has {names} in its name"))
            .hint("llamafile selftest lists all"));
    }
    let mut out = Output::new();
    let _ = out.write(&if settings.json { report.to_json() } else { report.to_string() });
    out.end()?;
    match report.wrong {
        0 => Ok(()),
        n => Err(CliError::new(format!("{n} of {} kernels are wrong", report.kernels.len()))
            .hint("models are run without them; please report what you see")),
    }
}

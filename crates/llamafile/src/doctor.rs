//! `llamafile doctor`.

use tools::doctor::{self, Options};

use crate::answer::Output;
use crate::error::CliError;
use crate::settings::Settings;
use crate::{measuring, models};

/// Prints what the machine has, what is used of it, and whether the model fits.
pub fn doctor(settings: &Settings) -> Result<(), CliError> {
    let model = settings.model.as_deref();
    let model = model.map(|model| models::resolve(Some(model), settings.offline)).transpose()?;
    let options = Options {
        model,
        n_ctx: settings.context,
        threads: settings.threads,
        placement: settings.placement.clone(),
    };
    let diagnosis = doctor::diagnose(&options).map_err(measuring::explain)?;
    let text = if settings.json { diagnosis.to_json() } else { diagnosis.to_string() };
    let mut out = Output::new();
    let _ = out.write(&text);
    out.end()
}

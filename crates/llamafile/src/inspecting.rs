//! `llamafile inspect`.

use std::io::{self, IsTerminal};
use std::path::Path;

use gguf::Location;
use pack::Archive;
use tools::inspect::{self, Inspection, Paint};

use crate::answer::Output;
use crate::error::CliError;
use crate::settings::{Settings, View};
use crate::terminal::Style;
use crate::{measuring, models, packed, packing};

/// Prints what is in a model file, or what is packed in a file.
pub fn inspect(settings: &Settings) -> Result<(), CliError> {
    let given = settings.model.as_deref().unwrap_or_default();
    let plain = settings.inspect == View::Overview && !settings.json && settings.html.is_none();
    if plain && let Some(archive) = archive(Path::new(given))? {
        return print(&packing::list(&archive)?);
    }
    let file = models::resolve(Some(given), settings.offline)?;
    let text = match &settings.inspect {
        View::Key(key) => value(&file, key, "--metadata all lists the keys there are")?,
        View::Template => value(&file, "tokenizer.chat_template", "the model has none")?,
        view => {
            let inspection = inspect::inspect(&file).map_err(measuring::explain)?;
            if let Some(path) = &settings.html {
                inspection.page().write(path).map_err(measuring::explain)?;
            }
            match view {
                View::Tensors => inspection.tensor_list(),
                View::Metadata => inspection.metadata_list(),
                _ if settings.json => inspection.to_json(),
                _ if settings.html.is_some() => String::new(),
                _ => overview(&inspection, settings),
            }
        }
    };
    print(&text)
}

/// What is packed in a file that is no model.
fn archive(path: &Path) -> Result<Option<Archive>, CliError> {
    let is_model = path.extension().is_some_and(|extension| extension == "gguf");
    if is_model || !path.is_file() {
        return Ok(None);
    }
    Archive::find(path).map_err(packed::explain)
}

fn overview(inspection: &Inspection, settings: &Settings) -> String {
    let style = Style::new(settings.color, io::stdout().is_terminal());
    let heading = |text: &str| style.bold(text);
    let problem = |text: &str| style.alarm(text);
    inspection.overview(Paint { heading: &heading, problem: &problem })
}

fn value(file: &Location, key: &str, hint: &str) -> Result<String, CliError> {
    let gguf = file.open().map_err(|error| measuring::explain(error.into()))?;
    inspect::full_value(gguf.metadata(), key)
        .ok_or_else(|| CliError::new(format!("{file}: there is no key {key}")).hint(hint))
}

/// Writes to standard output; a reader that went away is no error.
fn print(text: &str) -> Result<(), CliError> {
    let mut out = Output::new();
    let _ = out.write(text);
    out.end()
}

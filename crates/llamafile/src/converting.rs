//! `llamafile convert`.

use tools::convert;

use crate::error::CliError;
use crate::settings::Convert;

/// Writes the model file of the model in a folder.
pub fn convert(settings: &Convert) -> Result<(), CliError> {
    let Some(output) = &settings.output else { return Ok(()) };
    convert::convert(&settings.folder, output, settings.precision).map_err(|error| {
        let cause = CliError::new(&error);
        match error {
            convert::Error::Read { .. } | convert::Error::Content { .. } => cause.hint(
                "give the folder of a BERT model or sentence-transformer, with config.json, \
                 tokenizer.json and model.safetensors",
            ),
            convert::Error::Write { .. } => cause.hint("give another file with -o"),
            convert::Error::Compose(_) => cause,
        }
    })
}

//! `llamafile convert`.

use std::time::Instant;

use tools::convert::{self, Options};
use tools::quantize;

use crate::answer::Output;
use crate::error::CliError;
use crate::quantizing;
use crate::settings::Convert;
use crate::terminal::{Progress, Unit};

/// Writes the model file of the model in a folder.
pub fn convert(settings: &Convert) -> Result<(), CliError> {
    let Some(output) = &settings.output else { return Ok(()) };
    let options = Options {
        precision: settings.precision,
        pre_tokenizer: settings.pre_tokenizer.clone(),
        name: settings.name.clone(),
        threads: settings.threads,
    };
    let begun = Instant::now();
    let mut progress = Progress::new("Converting", Unit::Bytes, 0);
    let done = convert::convert(&settings.folder, output, &options, &mut |done, total| {
        progress.update(done, total);
    });
    drop(progress);
    let tensors = done.map_err(explain)?;
    let mut out = Output::new();
    let _ = out.write(&quantizing::summary(&tensors));
    let seconds = begun.elapsed().as_secs_f64();
    let _ = out.write(&format!("written to {} in {seconds:.1} s\n", output.display()));
    out.end()
}

/// An error with its remedy.
pub fn explain(error: convert::Error) -> CliError {
    let cause = CliError::new(&error);
    match error {
        convert::Error::Read { .. } => cause.hint(
            "give the folder of a model, with config.json, the files of its tokenizer and \
             model.safetensors",
        ),
        convert::Error::Content { .. } => {
            cause.hint("fetch the folder again, or save the model anew with transformers")
        }
        convert::Error::Architecture { .. } => {
            cause.hint("convert it with the tools of llama.cpp; the result runs here")
        }
        convert::Error::PreTokenizer { .. } => {
            cause.hint("name one that cuts text alike: llamafile convert --pre NAME")
        }
        convert::Error::PreTokenizerName { .. } | convert::Error::Compose(_) => cause,
        convert::Error::Encode(error) => match *error {
            quantize::Error::TooLarge { .. } => cause.hint("take --outtype bf16 or f32"),
            error => quantizing::explain(error),
        },
    }
}

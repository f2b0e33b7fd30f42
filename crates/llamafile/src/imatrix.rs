//! `llamafile imatrix`.

use std::path::PathBuf;

use tools::imatrix::imatrix as measure;
use tools::imatrix_file::ImatrixFile;
use tools::perplexity::{self, Evaluator};

use crate::error::CliError;
use crate::predicting::{explain, options, progress};
use crate::settings::Settings;
use crate::{generator, models, quantizing};

/// Measures which columns of weights matter over a text, and writes that to a file.
pub fn imatrix(settings: &Settings) -> Result<(), CliError> {
    let wish = &settings.imatrix;
    let mut all = ImatrixFile::default();
    for path in &wish.earlier {
        let earlier = ImatrixFile::read(path).map_err(quantizing::explain_imatrix)?;
        if let Some(name) = all.add(earlier).first() {
            return Err(CliError::new(format!(
                "{}: {name} has another size than in the files before",
                path.display()
            ))
            .hint("join only files of the same model"));
        }
    }
    if settings.prompt.is_some() {
        let measured = measured(settings)?;
        if let Some(name) = all.add(measured).first() {
            return Err(CliError::new(format!("{name} has another size than in --in-file"))
                .hint("join only files of the same model"));
        }
    }
    let default = PathBuf::from("imatrix.gguf");
    let path = if wish.output.as_os_str().is_empty() { &default } else { &wish.output };
    all.write(path).map_err(quantizing::explain_imatrix)?;
    eprintln!("{} weights over {} chunks: {}", all.entries.len(), all.chunk_count, path.display());
    Ok(())
}

fn measured(settings: &Settings) -> Result<ImatrixFile, CliError> {
    let wish = &settings.imatrix;
    let file = models::resolve(settings.model.as_deref(), settings.offline)?;
    let options = options(settings, settings.context);
    let n_ctx = options.n_ctx;
    let evaluator = Evaluator::load(&file, options).map_err(explain)?;
    evaluator.faults().iter().for_each(generator::warn);
    // Texts are taken as they are.
    let text = settings.prompt.as_ref().map(|text| text.as_is()).unwrap_or_default();
    let tokens =
        if wish.special { evaluator.tokens_with_special(text) } else { evaluator.tokens(text) };
    let skipped = wish.skipped.saturating_mul(n_ctx);
    let tokens = tokens.get(skipped..).unwrap_or_default();
    let mut progress = progress();
    let mut notice = |chunk: perplexity::ChunkScore| {
        progress.update((chunk.chunk * n_ctx) as u64, (chunk.total * n_ctx) as u64);
    };
    let found = measure(evaluator, tokens, wish.with_output, &mut notice);
    drop(progress);
    let (mut found, perplexity) = found.map_err(explain)?;
    found.datasets.push(wish.source.clone());
    eprintln!("perplexity of the text: {:.4}", perplexity.perplexity.value);
    Ok(found)
}

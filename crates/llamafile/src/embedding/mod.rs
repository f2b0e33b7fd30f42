//! `llamafile embed`: texts to vectors, pairs of texts to scores.

mod format;

use std::io::IsTerminal;

use engine::{Embedder, Pooling};

use crate::answer::Output;
use crate::error::CliError;
use crate::settings::Settings;
use crate::{generator, models, piped_prompt};

/// Prints the vectors or scores of the texts given.
pub fn embed(settings: &Settings) -> Result<(), CliError> {
    let texts = texts(settings)?;
    let file = models::resolve(settings.model.as_deref(), settings.offline)?;
    let options = generator::options(settings)?;
    let within = |error: &engine::Error| generator::explain(error).within(&file);
    let embed = &settings.embed;
    let mut embedder =
        Embedder::load(file.clone(), &options, embed.pooling).map_err(|error| match error {
            engine::Error::NotEmbedding { .. } => within(&error).hint("use a model that embeds"),
            engine::Error::File(_) => generator::explain(&error),
            _ => within(&error),
        })?;
    if let Some(causal) = embed.causal {
        embedder.set_causal(causal).map_err(|error| within(&error))?;
    }
    let ranks = embedder.pooling() == Pooling::Rank;
    let tokens: Vec<Vec<u32>> = texts
        .iter()
        .map(|text| match ranks && text.contains(&embed.pair_separator) {
            true => embedder.joined_tokens(&text.split(&embed.pair_separator).collect::<Vec<_>>()),
            false => embedder.tokens(text),
        })
        .collect();
    let mut vectors = embedder.embed(&tokens).map_err(|error| match error {
        engine::Error::PromptTooLong { .. } => {
            generator::explain(&error).hint("shorten the text, or give a larger context with -c")
        }
        _ => generator::explain(&error),
    })?;
    if !ranks {
        vectors.iter_mut().flatten().for_each(|vector| embed.normalization.apply(vector));
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let printed = format::print(&texts, &vectors, embed, embedder.pooling(), embedder.labels());
    let mut out = Output::new();
    let _ = out.write(&printed);
    out.end()
}

/// The operands; else what `-p`, `-f` or standard input separate.
fn texts(settings: &Settings) -> Result<Vec<String>, CliError> {
    let embed = &settings.embed;
    let texts = match settings.prompt_text() {
        _ if !embed.texts.is_empty() => return Ok(embed.texts.clone()),
        Some(text) => text,
        None if !std::io::stdin().is_terminal() => piped_prompt()?,
        None => String::new(),
    };
    if texts.is_empty() {
        return Err(CliError::new("there is no text")
            .hint("give texts as operands, with -p or -f, or through a pipe"));
    }
    match embed.separator.as_str() {
        "" => Ok(vec![texts]),
        separator => Ok(texts.split(separator).map(str::to_owned).collect()),
    }
}

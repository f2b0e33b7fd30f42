//! `llamafile embed`: texts to vectors, pairs of texts to scores.

mod format;

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};

use engine::{Client, Engine, Event, Pooling, Scheduler, Texts};

use crate::answer::Output;
use crate::error::CliError;
use crate::settings::Settings;
use crate::{generator, models, piped_prompt};

/// Prints the vectors or scores of the texts given.
pub fn embed(settings: &Settings) -> Result<(), CliError> {
    let texts = texts(settings)?;
    let file = models::resolve(settings.model.as_deref(), settings.offline)?;
    let engine = generator::load(&file, settings)?;
    let embed = &settings.embed;
    let ranks = engine.pooling() == Pooling::Rank;
    let tokens: Vec<Vec<u32>> = texts
        .iter()
        .map(|text| match ranks && text.contains(&embed.pair_separator) {
            true => engine.joined_tokens(&text.split(&embed.pair_separator).collect::<Vec<_>>()),
            false => engine.text_tokens(text),
        })
        .collect();
    let engine = Arc::new(engine);
    let mut vectors = vectors(&engine, tokens).map_err(|error| match error {
        engine::Error::PromptTooLong { .. } => {
            generator::explain(&error).hint("shorten the text, or give a larger context with -c")
        }
        _ => generator::explain(&error).within(&file),
    })?;
    if !ranks {
        vectors.iter_mut().flatten().for_each(|vector| embed.normalization.apply(vector));
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let printed = format::print(&texts, &vectors, embed, engine.pooling(), engine.labels());
    let mut out = Output::new();
    let _ = out.write(&printed);
    out.end()
}

/// The vectors of each text.
fn vectors(
    engine: &Arc<Engine>,
    texts: Vec<Vec<u32>>,
) -> Result<Vec<Vec<Vec<f32>>>, engine::Error> {
    let mut scheduler = Scheduler::new(engine.clone())?;
    let (sender, events) = mpsc::channel();
    scheduler.embed(Texts { texts, pooling: None }, Box::new(Inbox(sender)));
    while scheduler.step() {}
    match events.recv() {
        Ok(Event::Vectors(vectors)) => Ok(vectors),
        Ok(Event::Failed(error)) => Err(error),
        _ => Err(engine::Error::Stopped),
    }
}

/// Where events go.
struct Inbox(Sender<Event>);

impl Client for Inbox {
    fn send(&mut self, event: Event) {
        // The other end waits until all is done.
        let _ = self.0.send(event);
    }

    fn is_gone(&self) -> bool {
        false
    }
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

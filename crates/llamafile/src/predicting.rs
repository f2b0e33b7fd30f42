//! `llamafile perplexity`.

use std::fs;
use std::path::Path;

use backend::KvTypes;
use tools::html::Page;
use tools::perplexity::{
    self, ChunkScore, Divergence, Error, Evaluator, Kind, LogitsReader, Options, OutputType, Score,
};

use crate::answer::Output;
use crate::error::{CliError, describe};
use crate::settings::{Predicted, Settings};
use crate::terminal::{Progress, Unit};
use crate::{generator, measuring, models};

/// Tasks of HellaSwag that are taken where nothing else is asked for.
const HELLASWAG_TASKS: usize = 400;

/// Tells how well a model predicts a text, how far it is from another, or how it answers tasks.
pub fn perplexity(settings: &Settings) -> Result<(), CliError> {
    let wish = &settings.perplexity;
    let file = models::resolve(settings.model.as_deref(), settings.offline)?;
    // What can't be read is refused before the model is loaded.
    let base = match (&wish.what, &wish.logits) {
        (Predicted::Divergence, Some(path)) => Some(LogitsReader::open(path).map_err(explain)?),
        _ => None,
    };
    let n_ctx = base.as_ref().map(|base| base.n_ctx).or(settings.context);
    let evaluator = Evaluator::load(&file, options(settings, n_ctx)).map_err(explain)?;
    evaluator.faults().iter().for_each(generator::warn);
    let run = Run { settings, evaluator, name: file.to_string() };
    match (wish.what, base) {
        (Predicted::Tasks(kind), _) => run.tasks(kind),
        (Predicted::Divergence, Some(base)) => run.divergence(base),
        _ => run.text(),
    }
}

/// How texts are evaluated, in chunks of `n_ctx` tokens.
pub fn options(settings: &Settings, n_ctx: Option<usize>) -> Options {
    let default = Options::default();
    Options {
        n_ctx: n_ctx.unwrap_or(default.n_ctx),
        n_batch: settings.batch.unwrap_or(default.n_batch),
        chunks: settings.chunks,
        threads: settings.threads,
        placement: settings.placement.clone(),
        kv_types: KvTypes { k: settings.key_type, v: settings.value_type },
    }
}

/// A loaded model and what it shall do.
struct Run<'a> {
    settings: &'a Settings,
    evaluator: Evaluator,
    name: String,
}

impl Run<'_> {
    fn text(&self) -> Result<(), CliError> {
        let wish = &self.settings.perplexity;
        // Texts are taken as they are.
        let text = self.settings.prompt.as_ref().map(|text| text.as_is()).unwrap_or_default();
        let tokens = self.evaluator.tokens(text);
        let n_ctx = self.settings.context.unwrap_or(Options::default().n_ctx);
        let step = if wish.stride > 0 { wish.stride } else { n_ctx };
        let mut out = Output::new();
        let mut chunks = Vec::new();
        let mut progress = progress();
        let mut notice = |chunk: ChunkScore| {
            progress.update((chunk.chunk * step) as u64, (chunk.total * step) as u64);
            let _ = out.write(&chunk.text(wish.output, step));
            chunks.push(chunk);
        };
        let evaluator = &self.evaluator;
        let found = match &wish.logits {
            _ if wish.stride > 0 => {
                perplexity::perplexity_strided(evaluator, &tokens, wish.stride, &mut notice)
            }
            Some(path) => perplexity::save_logits(evaluator, &tokens, path, &mut notice),
            None => perplexity::perplexity(evaluator, &tokens, &mut notice),
        };
        drop(progress);
        let found = found.map_err(explain)?;
        let end = if wish.output == OutputType::Short { "\n" } else { "" };
        let _ = out.write(&format!("{end}{}", found.text()));
        let about = format!("{} tokens in chunks of {n_ctx}", tokens.len());
        self.write(|| found.page(&self.name, &about, &chunks))?;
        out.end()
    }

    fn divergence(&self, base: LogitsReader) -> Result<(), CliError> {
        let (n_ctx, base_name) = (base.n_ctx, base.path().display().to_string());
        let mut out = Output::new();
        let mut chunks = Vec::new();
        let mut progress = progress();
        let _ = out.write(Divergence::HEAD);
        let found = perplexity::divergence(&self.evaluator, base, &mut |chunk, so_far| {
            progress.update((chunk.chunk * n_ctx) as u64, (chunk.total * n_ctx) as u64);
            let _ = out.write(&so_far.line(chunk.chunk));
            chunks.push(chunk);
        });
        drop(progress);
        let found = found.map_err(explain)?;
        let _ = out.write(&found.text());
        self.write(|| found.page(&self.name, &base_name, &chunks))?;
        out.end()
    }

    fn tasks(&self, kind: Kind) -> Result<(), CliError> {
        let wish = &self.settings.perplexity;
        let bytes = match (&wish.binary, &self.settings.prompt) {
            (Some(path), _) => read(path)?,
            (None, text) => text.as_ref().map(|t| t.as_is().into()).unwrap_or_default(),
        };
        let default = if kind == Kind::HellaSwag { HELLASWAG_TASKS } else { 0 };
        let tasks = perplexity::read_tasks(kind, &bytes, wish.tasks.unwrap_or(default));
        let tasks = tasks.map_err(|error| explain(error.into()))?;
        let mut out = Output::new();
        let _ = out.write(Score::head(kind));
        let last = perplexity::evaluate(&self.evaluator, &tasks, &mut |score| {
            let _ = out.write(&score.line(kind));
        });
        if let Some(last) = last.map_err(explain)? {
            let _ = out.write(&last.summary(kind));
        }
        out.end()
    }

    /// Writes the page that was asked for.
    fn write(&self, page: impl FnOnce() -> Page) -> Result<(), CliError> {
        match &self.settings.html {
            Some(path) => page().write(path).map_err(measuring::explain),
            None => Ok(()),
        }
    }
}

/// A bar of tokens.
pub fn progress() -> Progress {
    Progress::new("Evaluating", Unit::Tokens, 0)
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    fs::read(path).map_err(|error| {
        CliError::new(format!("cannot read {}: {}", path.display(), describe(&error)))
            .hint("give a file of tasks with -bf")
    })
}

/// An error with its remedy.
pub fn explain(error: Error) -> CliError {
    let cause = CliError::new(&error);
    match error {
        Error::Tool(error) => measuring::explain(error),
        Error::Tokenizer { .. } => cause.hint("use a model that reads texts"),
        Error::TooShort { .. } => cause.hint("give a longer text, or shorter chunks with -c"),
        Error::ShortContext { .. } => cause.hint("give a larger -c, or a smaller --ppl-stride"),
        Error::LogitsFile { .. } => cause.hint("check the path, and that the disk has room"),
        Error::Logits { .. } => cause.hint("save it again with --kl-divergence-base FILE"),
        Error::NotFinite { .. } => {
            cause.hint("the weights are damaged: 'llamafile inspect' may tell which")
        }
        Error::LongTask { .. } => cause.hint("give a larger context with -c"),
        Error::Tasks(_) => cause.hint("give a file of the form that llama-perplexity reads"),
    }
}

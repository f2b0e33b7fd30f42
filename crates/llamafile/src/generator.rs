//! A loaded model at work: prompts to tokens, tokens to text.

use std::ops::ControlFlow;

use backend::KvTypes;
use chat::{Chat, Message, Prompt, Request, Template};
use engine::{
    DraftModel, Drafter, Engine, Error, Fault, Finish, Isa, Kernel, NGrams, Options,
    PlacementError, Session, Speculation, StopTexts,
};
use gguf::Location;
use grammar::Constraint;
use sample::Sampler;

use crate::error::CliError;
use crate::models;
use crate::settings::{Command, Guesses, Settings};
use crate::terminal::{Progress, Unit};

const JINJA: &str = "give Jinja source, as in the tokenizer.chat_template of model files";
const OTHER_TEMPLATE: &str = "give another with --chat-template, or -no-cnv for plain text";

/// Requests that a server works on at once.
const PARALLEL: usize = 32;

/// Maps the model file with the options that the settings ask for.
pub fn load(file: &Location, settings: &Settings) -> Result<Engine, CliError> {
    let options = options(settings)?;
    let engine = Engine::load(file.clone(), &options).map_err(|error| explain_of(&error, file))?;
    if settings.verbose {
        describe(&engine, file);
    }
    Ok(engine)
}

/// Prints what was loaded.
pub fn describe(engine: &Engine, file: &Location) {
    let info = engine.info();
    eprintln!("model: {file}");
    eprintln!("{}", engine.plan());
    eprintln!(
        "loaded in {:.3} s: {}, architecture {}, {} parameters, {} tokens in the vocabulary",
        engine.load_time().as_secs_f64(),
        info.name,
        info.architecture,
        info.n_params,
        info.n_vocab
    );
}

/// Tells of a kernel that is not used.
pub fn warn(fault: &Fault) {
    eprintln!("warning: {fault}");
}

/// What the settings ask of an engine.
pub fn options(settings: &Settings) -> Result<Options, CliError> {
    let default = Options::default();
    Ok(Options {
        n_ctx: settings.context,
        threads: settings.threads,
        placement: settings.placement.clone(),
        isa: Some(Isa::from_env().map_err(CliError::new)?),
        disabled: Kernel::disabled_by_env().map_err(CliError::new)?,
        on_fault: warn,
        n_batch: settings.batch.unwrap_or(default.n_batch),
        batch_invariant: settings.batch_invariant,
        kv_types: KvTypes { k: settings.key_type, v: settings.value_type },
        full_windows: settings.full_windows,
        parallel: match settings.command {
            Command::Serve => settings.serving.parallel.unwrap_or(PARALLEL),
            Command::Embed => PARALLEL,
            _ => 1,
        },
        fewer_for_states: settings.serving.parallel.is_none(),
        overcommit: settings.overcommit,
        disk_cache: settings.serving.disk_cache(),
        pooling: settings.embed.pooling,
        causal: settings.embed.causal,
        ..default
    })
}

/// The chat template of the flags or of the model, and whether it is a real one: models without
/// were not trained to hold conversations.
pub fn template(engine: &Engine, settings: &Settings) -> Result<(Template, bool), CliError> {
    let Some(source) = &settings.template else {
        let template = engine.template().map_err(|error| explain(&error).hint(OTHER_TEMPLATE))?;
        let real = template.source() != chat::CHATML;
        return Ok((template, real));
    };
    let tokenizer = engine.tokenizer();
    let text = |id: Option<u32>| id.and_then(|id| tokenizer.token_text(id)).unwrap_or_default();
    let template = Template::new(source, text(tokenizer.bos()), text(tokenizer.eos()))
        .map_err(|error| CliError::new(format!("--chat-template: {error}")).hint(JINJA))?;
    Ok((template, true))
}

/// How to chat with the model, and whether it was trained for that.
pub fn chat(engine: &Engine, settings: &Settings) -> Result<(Chat, bool), CliError> {
    let (template, real) = template(engine, settings)?;
    Ok((Chat::from_template(template), real))
}

/// What guesses tokens, where the settings ask for it.
fn speculation(engine: &Engine, settings: &Settings) -> Result<Option<Speculation>, CliError> {
    let drafting = &settings.drafting;
    let (drafter, n_max): (Box<dyn Drafter>, usize) = match &drafting.guesses {
        Guesses::None => return Ok(None),
        Guesses::NGrams => (Box::new(NGrams { n: drafting.ngram }), 48),
        Guesses::Model(name) => {
            let file = models::resolve(Some(name), settings.offline)?;
            let draft = load(&file, settings)?;
            let model = DraftModel::new(draft, engine, drafting.p_min);
            (Box::new(model.map_err(|error| explain(&error).within(&file))?), 3)
        }
    };
    let n_max = drafting.n_max.unwrap_or(n_max);
    Ok(Some(Speculation::new(drafter, n_max, drafting.n_min)))
}

/// One conversation with a loaded model.
pub struct Generator<'e> {
    engine: &'e Engine,
    session: Session<'e>,
    sampler: Sampler,
    speculation: Option<Speculation>,
    constraint: Option<Constraint>,
    /// Texts that end answers: those of the settings, and those of the prompt.
    stops: [Vec<String>; 2],
    limit: Option<usize>,
    verbose: bool,
}

impl<'e> Generator<'e> {
    /// A generator that has seen nothing yet.
    pub fn new(engine: &'e Engine, settings: &Settings) -> Result<Self, CliError> {
        let session = engine.session().map_err(|error| explain(&error))?;
        let params = settings.sampling.over(engine.sampling());
        let sampler = engine.sampler(&params).map_err(|error| explain(&error))?;
        if settings.verbose {
            eprintln!("backend: {}", session.backend());
            eprintln!("context: {} tokens, seed: {}", session.n_ctx(), sampler.seed());
        }
        let speculation = speculation(engine, settings)?;
        let constraint = settings.grammar.as_ref().map(|grammar| engine.constraint(grammar));
        let constraint = constraint.transpose().map_err(|error| explain(&error))?;
        let (limit, verbose) = (settings.predict, settings.verbose);
        let stops = [settings.stops.clone(), Vec::new()];
        Ok(Self { engine, session, sampler, speculation, constraint, stops, limit, verbose })
    }

    /// The model.
    pub fn engine(&self) -> &'e Engine {
        self.engine
    }

    /// The conversation as the engine sees it.
    pub fn session(&self) -> &Session<'e> {
        &self.session
    }

    /// Forgets the conversation.
    pub fn clear(&mut self) {
        self.session.clear();
    }

    /// The tokens of plain text.
    pub fn text_tokens(&self, text: &str) -> Vec<u32> {
        self.engine.tokenizer().encode(text, true, true)
    }

    /// The prompt of a conversation in which it is the model's turn, and its tokens.
    pub fn prompt(
        &self,
        chat: &Chat,
        messages: &[Message],
    ) -> Result<(Vec<u32>, Prompt), CliError> {
        let prompt = chat
            .prompt(&Request::new(messages.to_vec()))
            .map_err(|error| CliError::new(error).hint(OTHER_TEMPLATE))?;
        if self.verbose {
            eprintln!("prompt: {:?}", prompt.text);
        }
        Ok((self.engine.chat_tokens(&prompt.text), prompt))
    }

    /// Has answers show the special tokens that a prompt's parser needs, and end at its stop texts.
    pub fn follow(&mut self, prompt: &Prompt) {
        self.stops[1].clone_from(&prompt.stops);
        let ids = prompt.special.iter().filter_map(|text| self.engine.tokenizer().find(text));
        self.session.show(ids.collect());
    }

    /// Evaluates `tokens` and generates what follows them.
    ///
    /// `stop` is asked between batches of the prompt, and may break off; then the result is
    /// [`Finish::Cancelled`], as it is when `on_text` breaks off.
    pub fn run(
        &mut self,
        tokens: &[u32],
        stop: &dyn Fn() -> bool,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Finish, CliError> {
        if self.engine.has_encoder() {
            self.session.encode(tokens).map_err(|error| explain(&error))?;
        } else if !self.feed(tokens, stop)? {
            return Ok(Finish::Cancelled);
        }
        let (session, sampler) = (&mut self.session, &mut self.sampler);
        // Each answer follows the grammar from its beginning, and then nothing is guessed.
        let mut constraint = self.constraint.clone();
        let mut stops = StopTexts::new(&self.stops.concat());
        let mut stopped = false;
        let mut until_stop = |text: &str| {
            let (text, stop) = stops.push(text);
            stopped = stop.is_some();
            match on_text(&text) {
                ControlFlow::Continue(()) if stopped => ControlFlow::Break(()),
                flow => flow,
            }
        };
        let finish = match &mut self.speculation {
            Some(speculation) if constraint.is_none() => {
                session.generate_drafted(sampler, speculation, self.limit, &mut until_stop)
            }
            _ => session.generate(sampler, constraint.as_mut(), self.limit, &mut until_stop),
        };
        let finish = finish.map_err(|error| explain(&error))?;
        if stopped {
            return Ok(Finish::StopText);
        }
        let held = stops.finish();
        if !held.is_empty() {
            // Nothing follows that could be broken off.
            let _ = on_text(&held);
        }
        Ok(finish)
    }

    /// Evaluates what is new of `tokens`; returns whether it got to the end.
    fn feed(&mut self, tokens: &[u32], stop: &dyn Fn() -> bool) -> Result<bool, CliError> {
        let seen = self.session.tokens().len().min(tokens.len());
        let mut progress = Progress::new("Reading", Unit::Tokens, seen as u64);
        let complete = self.session.feed(tokens, &mut |done, total| {
            progress.update(done as u64, total as u64);
            if stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        complete.map_err(|error| explain(&error))
    }

    /// How many guesses were right, in a line of its own.
    fn guessed(&self) -> String {
        let Some(Speculation { n_drafted, n_accepted, .. }) = &self.speculation else {
            return String::new();
        };
        format!("\nguessed            {n_drafted:6} tokens, {n_accepted} of them right")
    }

    /// Load time and speeds, one fact a line.
    pub fn timings(&self) -> String {
        let stats = self.session.stats();
        let load = self.engine.load_time().as_secs_f64();
        let reused = match stats.cached_tokens {
            0 => String::new(),
            n => format!(", {n} more were still in memory"),
        };
        format!(
            "load    {load:8.3} s\n\
             prompt  {:8.3} s  {:6} tokens  {:8.2} tokens/s{reused}\n\
             answer  {:8.3} s  {:6} tokens  {:8.2} tokens/s{}",
            stats.prompt_time.as_secs_f64(),
            stats.prompt_tokens,
            stats.prompt_speed(),
            stats.generation_time.as_secs_f64(),
            stats.generated_tokens,
            stats.generation_speed(),
            self.guessed(),
        )
    }
}

/// An error of the engine, with a remedy where its text names none.
pub fn explain(error: &Error) -> CliError {
    use model::Error as Model;
    let cause = CliError::new(error);
    match error {
        Error::PromptTooLong { .. } => {
            cause.hint("shorten the prompt, or give a larger context with -c")
        }
        Error::Placement(error) => explain_placement(error),
        Error::EmptyPrompt => cause.hint("give some text with -p"),
        Error::NotGenerative { .. } => {
            cause.hint("use a model that generates text, or 'llamafile embed'")
        }
        Error::OtherVocabulary(_) => cause.hint("use a draft model of the same family"),
        Error::NoMasks => cause.hint("the file names no mask; convert it again"),
        Error::File(_) => {
            cause.hint("llamafile runs GGUF model files; without -m it uses a default model")
        }
        Error::Model(Model::UnknownArchitecture { .. }) => {
            cause.hint("a newer llamafile may run such models; this one cannot")
        }
        Error::Model(
            Model::Value { .. } | Model::MissingTensor { .. } | Model::TensorShape { .. },
        ) => cause.hint("the file is damaged or was converted wrongly; fetch or convert it again"),
        _ => cause,
    }
}

/// The same of a model file.
pub fn explain_of(error: &Error, file: &Location) -> CliError {
    match error {
        // Errors of the file itself name it already.
        Error::File(_) => explain(error),
        _ => explain(error).within(file),
    }
}

/// The same of threads that can't run where they shall.
pub fn explain_placement(error: &PlacementError) -> CliError {
    let cause = CliError::new(error);
    match error {
        PlacementError::Unavailable { .. } => cause.hint("give others with -C or -Cr"),
        PlacementError::System(_) => cause.hint("leave out -C, -Cr and --cpu-strict"),
    }
}

//! The `llamafile` command: answers prompts and holds conversations with language models.
#![forbid(unsafe_code)]

mod answer;
mod args;
mod conversation;
mod converting;
mod diffusion;
mod doctor;
mod embedding;
mod error;
mod generator;
mod hashing;
mod imatrix;
mod inspecting;
mod measuring;
mod models;
mod packed;
mod packing;
mod predicting;
mod pull;
mod quantizing;
mod selftest;
mod serving;
mod settings;
mod splitting;
mod terminal;
mod tokenizing;

use std::env;
use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;

use error::CliError;
use settings::{Command, Mode, Settings};
use terminal::Style;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), CliError> {
    let mut settings = args::parse(packed::start(arguments()?)?, |name| env::var(name).ok())?;
    for note in &settings.notes {
        eprintln!("note: {note}");
    }
    match &settings.command {
        Command::Generate => generate(&settings),
        Command::Serve => serving::serve(settings),
        Command::Pull(name) => pull::pull(name).map(|path| println!("{}", path.display())),
        Command::Embed => embedding::embed(&settings),
        Command::Convert => converting::convert(&settings.convert),
        Command::Quantize => quantizing::quantize(&mut settings.quantize),
        Command::Bench => measuring::bench(&settings.bench, settings.html.as_deref()),
        Command::Synth => measuring::synth(&settings.synth),
        Command::Doctor => doctor::doctor(&settings),
        Command::Selftest => selftest::selftest(&settings),
        Command::Pack => packing::pack(&settings.packing),
        Command::Retarget => packing::retarget(&settings.packing),
        Command::Upgrade => packing::upgrade(&settings.packing),
        Command::Install => packing::install(),
        Command::Inspect => inspecting::inspect(&settings),
        Command::Tokenize => tokenizing::tokenize(&settings),
        Command::Split => splitting::split(&settings.split),
        Command::Merge => splitting::merge(&settings.split),
        Command::Hash => hashing::hash(&settings),
        Command::Perplexity => predicting::perplexity(&settings),
        Command::Imatrix => imatrix::imatrix(&settings),
        Command::Unpack => packing::unpack(&settings.packing),
        Command::Verify => packing::verify(&settings.packing),
        Command::Help => {
            let style = Style::new(settings.color, io::stdout().is_terminal());
            print(&args::help(style, settings.topic))
        }
        Command::Version => print(concat!("llamafile ", env!("CARGO_PKG_VERSION"), "\n")),
    }
}

/// Answers the prompt of the flags or of standard input, or holds a conversation.
fn generate(settings: &Settings) -> Result<(), CliError> {
    let mut prompt = settings.prompt_text();
    let piped = !io::stdin().is_terminal();
    if prompt.is_none() && piped && settings.mode != Mode::Chat {
        prompt = Some(piped_prompt()?);
    }
    if prompt.as_deref().is_some_and(|text| text.trim().is_empty()) {
        return Err(CliError::new("the prompt is empty").hint("give some text with -p"));
    }
    if prompt.is_none() && matches!(settings.mode, Mode::Answer | Mode::Completion) {
        return Err(CliError::new("there is no prompt")
            .hint("give one with -p \"…\", with -f FILE, or through a pipe"));
    }
    let model = models::resolve(settings.model.as_deref(), settings.offline)?;
    let engine = generator::load(&model, settings)?;
    if engine.is_diffusion() && (prompt.is_none() || settings.mode == Mode::Chat) {
        return Err(CliError::new("a model that fills in masks holds no conversations")
            .hint("give one prompt with -p"));
    }
    match prompt {
        Some(prompt) if settings.mode != Mode::Chat => answer::answer(&engine, settings, &prompt),
        first => conversation::chat(&engine, settings, first),
    }
}

fn piped_prompt() -> Result<String, CliError> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|error| {
        CliError::new(format!("cannot read the prompt from standard input: {error}"))
            .hint("give it with -p instead")
    })?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

fn arguments() -> Result<Vec<String>, CliError> {
    let text = |argument: std::ffi::OsString| {
        argument.into_string().map_err(|argument| {
            CliError::new(format!("the argument {} is not valid UTF-8", argument.display()))
                .hint("rename the file, or type the text in a UTF-8 terminal")
        })
    };
    env::args_os().skip(1).map(text).collect()
}

/// Writes to standard output; a reader that went away is no error.
fn print(text: &str) -> Result<(), CliError> {
    let mut out = answer::Output::new();
    let _ = out.write(text);
    out.end()
}

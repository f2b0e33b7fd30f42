//! From command line and environment to [`Settings`].

mod converting;
mod diffusion;
mod doctor;
mod drafting;
mod embedding;
mod flag;
mod hashing;
mod help;
mod imatrix;
mod inspecting;
mod measuring;
mod nearest;
mod not_yet;
mod packing;
mod predicting;
mod quantizing;
mod sampling;
mod selftest;
mod serving;
mod shared;
mod splitting;
mod subcommands;
mod table;
#[cfg(test)]
mod testing;
mod tokenizing;
mod values;

pub use help::help;
pub use nearest::nearest;

use crate::error::CliError;
use crate::settings::{Command, Mode, Settings, Text};
use diffusion::DIFFUSION;
use drafting::DRAFTING;
use flag::{Action, Flag, Invalid};
use not_yet::NOT_YET;
use sampling::SAMPLING;
use serving::SERVING;
use subcommands::{SUBCOMMANDS, Subcommand};
use table::FLAGS;
use values::on_off_auto;

const SEE_HELP: &str = "'llamafile --help' lists every flag, with examples";
/// Commands without flags of their own; the others are [`SUBCOMMANDS`].
const COMMANDS: [&str; 6] = ["chat", "run", "serve", "pull", "help", "version"];

/// Whether this is a command with flags of its own.
pub fn is_subcommand(name: &str) -> bool {
    Subcommand::named(name).is_some()
}

/// The name of every command.
fn commands() -> impl Iterator<Item = &'static str> {
    COMMANDS.into_iter().chain(SUBCOMMANDS.iter().map(|subcommand| subcommand.name))
}

/// The flags of generating text, here and for others.
const GENERATE: &[Flag] = {
    const OF_TEXT: [Flag; FLAGS.len() + SAMPLING.len()] = flag::join(FLAGS, SAMPLING);
    const OF_MODELS: [Flag; DRAFTING.len() + DIFFUSION.len()] = flag::join(DRAFTING, DIFFUSION);
    const HERE: [Flag; OF_TEXT.len() + OF_MODELS.len()] = flag::join(&OF_TEXT, &OF_MODELS);
    &flag::join::<{ HERE.len() + SERVING.len() }>(&HERE, SERVING)
};

/// Every table of flags: of generating text, and of the commands that have their own.
fn tables() -> impl Iterator<Item = &'static [Flag]> {
    // Commands on packed files share one.
    let mut seen: Vec<*const Flag> = Vec::new();
    let own = SUBCOMMANDS.iter().map(|subcommand| subcommand.flags);
    std::iter::once(GENERATE).chain(own.filter(move |flags| {
        let new = !seen.contains(&flags.as_ptr());
        seen.push(flags.as_ptr());
        new
    }))
}

/// Reads the environment through `variable`, then the arguments, which win. A command with flags of
/// its own comes first.
pub fn parse(
    arguments: Vec<String>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Settings, CliError> {
    let mut settings = Settings::default();
    let mut arguments = arguments.into_iter().peekable();
    let own = arguments.peek().and_then(|first| Subcommand::named(first));
    let (command, flags) =
        own.map_or((Command::Generate, GENERATE), |own| (own.command.clone(), own.flags));
    arguments.next_if(|_| own.is_some());
    settings.command = command.clone();
    settings.topic = own.map(|own| own.name);
    for flag in flags {
        if let Some((name, value)) = flag.env.and_then(|name| Some((name, variable(name)?))) {
            from_environment(&mut settings, flag, &value)
                .map_err(|invalid| refuse(&format!("{name}={value}"), invalid))?;
        }
    }
    let mut words = Vec::new();
    while let Some(argument) = arguments.next() {
        if argument == "--" && command == Command::Pack {
            settings.packing.arguments = Some(arguments.collect());
            break;
        }
        if argument.len() < 2 || !argument.starts_with('-') {
            words.push(argument);
            continue;
        }
        let (name, attached) = split(&argument);
        let Some((flag, on)) = find(flags, &name) else {
            return Err(unknown_flag(flags, &argument, &name));
        };
        if attached.is_some() && matches!(flag.action, Action::Plain(_) | Action::Switch { .. }) {
            return Err(CliError::new(format!("{name} takes no value")).hint(SEE_HELP));
        }
        match &flag.action {
            Action::Plain(set) => set(&mut settings),
            Action::Switch { set, .. } => set(&mut settings, on),
            Action::Optional { set, .. } => {
                let given = attached
                    .or_else(|| arguments.next_if(|next| on && on_off_auto(next).is_ok()))
                    .unwrap_or_else(|| if on { "on".into() } else { "off".into() });
                set(&mut settings, &given).map_err(|invalid| refuse(&name, invalid))?;
            }
            Action::Value { name: value, set } => {
                let given = attached
                    .or_else(|| arguments.next_if(|next| find(flags, next).is_none()))
                    .ok_or_else(|| {
                        CliError::new(format!("{name} needs a value: {name} {value}"))
                            .hint(SEE_HELP)
                    })?;
                set(&mut settings, &given).map_err(|invalid| refuse(&name, invalid))?;
            }
        }
        if settings.command != command {
            return Ok(settings);
        }
    }
    match own {
        Some(own) => (own.operands)(&mut settings, &words)?,
        None => apply_words(&mut settings, &words)?,
    }
    Ok(settings)
}

/// Splits `--name=value`; in long names `_` means `-`, as in llama.cpp.
fn split(argument: &str) -> (String, Option<String>) {
    if !argument.starts_with("--") {
        return (argument.to_owned(), None);
    }
    match argument.split_once('=') {
        Some((name, value)) => (name.replace('_', "-"), Some(value.to_owned())),
        None => (argument.replace('_', "-"), None),
    }
}

/// The flag of that name, and whether the name turns it on.
fn find(flags: &'static [Flag], name: &str) -> Option<(&'static Flag, bool)> {
    flags.iter().find_map(|flag| {
        if flag.names.contains(&name) {
            return Some((flag, true));
        }
        let off: &[&str] = match flag.action {
            Action::Switch { off, .. } | Action::Optional { off, .. } => off,
            Action::Plain(_) | Action::Value { .. } => &[],
        };
        off.contains(&name).then_some((flag, false))
    })
}

fn from_environment(settings: &mut Settings, flag: &Flag, value: &str) -> Result<(), Invalid> {
    match &flag.action {
        Action::Value { set, .. } | Action::Optional { set, .. } => set(settings, value),
        Action::Plain(set) => {
            if on_off_auto(value)? == Some(true) {
                set(settings);
            }
            Ok(())
        }
        Action::Switch { set, .. } => {
            if let Some(on) = on_off_auto(value)? {
                set(settings, on);
            }
            Ok(())
        }
    }
}

/// Commands and their operands.
fn apply_words(settings: &mut Settings, words: &[String]) -> Result<(), CliError> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => {}
        ["help"] => settings.command = Command::Help,
        ["help", topic, ..] => {
            settings.command = Command::Help;
            settings.topic = Subcommand::named(topic).map(|own| own.name);
        }
        ["version"] => settings.command = Command::Version,
        ["pull", name] => settings.command = Command::Pull(name.into()),
        ["pull", ..] => {
            return Err(CliError::new("pull needs the name of one model")
                .hint("try: llamafile pull smollm2"));
        }
        ["chat"] => settings.mode = Mode::Chat,
        ["chat", model] => {
            settings.mode = Mode::Chat;
            settings.model = Some(model.into());
        }
        ["serve"] => settings.serving.on = true,
        ["serve", model] => {
            settings.serving.on = true;
            settings.model = Some(model.into());
        }
        ["run"] => {}
        ["run", model] => settings.model = Some(model.into()),
        ["run", model, ref prompt @ ..] => {
            settings.model = Some(model.into());
            settings.prompt = Some(Text::Typed(prompt.join(" ")));
        }
        [command, ..] if Subcommand::named(command).is_some() => {
            return Err(CliError::new(format!("{command} must come before its flags"))
                .hint(format!("llamafile {command} [FLAGS]")));
        }
        [word, ..] => return Err(unexpected_word(word)),
    }
    if settings.serving.on && settings.command == Command::Generate {
        settings.command = Command::Serve;
    }
    Ok(())
}

fn refuse(flag: &str, invalid: Invalid) -> CliError {
    CliError::new(format!("{flag}: {}", invalid.cause))
        .hint(invalid.remedy.as_deref().unwrap_or(SEE_HELP))
}

fn unknown_flag(flags: &'static [Flag], argument: &str, name: &str) -> CliError {
    if let Some((_, why)) = NOT_YET.iter().find(|(names, _)| names.contains(&name)) {
        return CliError::new(format!("{name} is not supported: {why}")).hint(SEE_HELP);
    }
    let error = CliError::new(format!("unknown flag {argument}"));
    let names = || flags.iter().flat_map(|flag| flag.names.iter().copied());
    let glued = names().find(|short| {
        let rest = name.strip_prefix(short).unwrap_or_default();
        !short.starts_with("--") && !rest.is_empty() && rest.parse::<f32>().is_ok()
    });
    if let Some(short) = glued {
        return error.hint(format!("write the value apart: {short} {}", &name[short.len()..]));
    }
    match nearest(name, names()) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(SEE_HELP),
    }
}

fn unexpected_word(word: &str) -> CliError {
    let error = CliError::unexpected(word);
    if let Some(near) = nearest(word, commands()) {
        return error.hint(format!("did you mean 'llamafile {near}'?"));
    }
    if word.ends_with(".gguf") {
        return error.hint(format!("a model is given with -m: llamafile -m {word}"));
    }
    error.hint("a prompt is given with -p \"…\" (in quotes), a model with -m")
}

#[cfg(test)]
mod tests {
    use engine::Placement;

    use super::testing::{parsed_words, refused_words};
    use super::*;
    use crate::settings::Color;

    #[test]
    fn names_are_unique() {
        for flags in tables() {
            let mut seen = std::collections::HashSet::new();
            for flag in flags {
                let off: &[&str] = match flag.action {
                    Action::Switch { off, .. } | Action::Optional { off, .. } => off,
                    _ => &[],
                };
                for name in flag.names.iter().chain(off) {
                    assert!(seen.insert(*name), "{name} twice");
                }
            }
            let unsupported = NOT_YET.iter().flat_map(|(names, _)| names.iter());
            for name in unsupported.filter(|_| std::ptr::eq(flags, GENERATE)) {
                assert!(seen.insert(*name), "{name} twice");
            }
        }
    }

    #[test]
    fn flags_as_llama_cpp_users_type_them() {
        let settings = parsed_words(&[
            "-m",
            "a.gguf",
            "-p",
            "hi\\n",
            "-n",
            "32",
            "-c",
            "512",
            "-t",
            "2",
            "--temp",
            "0",
            "--top_k",
            "1",
            "--top-p=0.5",
            "-sys",
            "be brief",
            "-ngl",
            "0",
            "--color",
            "-s",
            "7",
        ])
        .unwrap();
        assert_eq!(settings.model.as_deref(), Some("a.gguf"));
        assert_eq!(settings.prompt_text().as_deref(), Some("hi\n"));
        assert_eq!(settings.system_text().as_deref(), Some("be brief"));
        assert_eq!(settings.predict, Some(32));
        assert_eq!(settings.context, Some(512));
        assert_eq!(settings.threads, Some(2));
        let params = settings.sampling.over(&sample::Params::default());
        assert_eq!(params.temperature, 0.0);
        assert_eq!(params.top_k, 1);
        assert_eq!(params.top_p, 0.5);
        assert_eq!(params.seed, Some(7));
        assert_eq!(settings.color, Color::On);
        assert!(settings.notes.is_empty());
    }

    #[test]
    fn values_may_begin_with_a_dash_unless_they_are_flags() {
        let settings = parsed_words(&["-p", "- one", "-n", "-1"]).unwrap();
        assert_eq!(settings.prompt_text().as_deref(), Some("- one"));
        assert_eq!(settings.predict, None);
        assert!(refused_words(&["-m", "-p", "hi"]).contains("-m needs a value"));
        assert!(refused_words(&["-p"]).contains("-p needs a value"));
    }

    #[test]
    fn threads_may_be_placed() {
        let settings =
            parsed_words(&["-C", "0x3", "-Cr", "4-5", "--cpu-strict", "1", "--efficiency-cores"])
                .unwrap();
        let expected =
            Placement { processors: Some(vec![0, 1, 4, 5]), strict: true, efficiency_cores: true };
        assert_eq!(settings.placement, expected);
        assert_eq!(parsed_words(&[]).unwrap().placement, Placement::default());
    }

    #[test]
    fn arguments_win_over_the_environment() {
        let variable = |name: &str| match name {
            "LLAMA_ARG_THREADS" => Some("3".into()),
            "LLAMA_ARG_CTX_SIZE" => Some("64".into()),
            "LLAMA_ARG_SHOW_TIMINGS" => Some("on".into()),
            _ => None,
        };
        let settings = parse(vec!["-t".into(), "1".into()], variable).unwrap();
        assert_eq!(settings.threads, Some(1));
        assert_eq!(settings.context, Some(64));
        assert!(settings.timings);
        let broken = parse(Vec::new(), |name| (name == "LLAMA_ARG_TOP_P").then(|| "2".into()));
        assert!(broken.unwrap_err().to_string().contains("LLAMA_ARG_TOP_P=2"));
    }

    #[test]
    fn commands_and_their_operands() {
        let pull = parsed_words(&["pull", "smollm2"]).unwrap();
        assert_eq!(pull.command, Command::Pull("smollm2".into()));
        let run = parsed_words(&["run", "smollm2", "say", "hi", "-n", "4"]).unwrap();
        assert_eq!(run.model.as_deref(), Some("smollm2"));
        assert_eq!(run.prompt_text().as_deref(), Some("say hi"));
        assert_eq!(parsed_words(&["chat"]).unwrap().mode, Mode::Chat);
        assert_eq!(parsed_words(&["-m", "x", "--help"]).unwrap().command, Command::Help);
        assert!(refused_words(&["pul", "x"]).contains("llamafile pull"));
        assert!(refused_words(&["x.gguf"]).contains("-m x.gguf"));
    }

    #[test]
    fn mistakes_are_met_with_a_remedy() {
        assert!(refused_words(&["--tmep", "1"]).contains("did you mean --temp?"));
        assert!(refused_words(&["-t4"]).contains("-t 4"));
        assert!(refused_words(&["-t", "0"]).contains("at least 1"));
        assert!(refused_words(&["--temp", "x"]).contains("expected a number, not \"x\""));
        assert!(refused_words(&["--lora", "x"]).contains("cannot be applied yet"));
        assert!(refused_words(&["--gpu", "nvidia"]).contains("no GPU backend"));
        assert!(refused_words(&["-ctk", "q3_k"]).contains("q8_0"));
        assert!(refused_words(&["-C", "0"]).contains("not 0, such as 0xff, not \"0\""));
        assert!(refused_words(&["-tb", "4"]).contains("share one pool"));
        assert!(refused_words(&["--numa", "isolate"]).contains("--numa is not supported"));
        assert_eq!(parsed_words(&["-ngl", "99"]).unwrap().notes.len(), 1);
    }
}

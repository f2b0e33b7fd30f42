//! Flags and operands of `llamafile doctor`.

use super::flag::{Action, Flag, Group};
use super::values::{threads, whole};
use crate::error::CliError;
use crate::settings::{Command, Settings};

/// Flags of `llamafile doctor`; those of generating text mean the same.
pub const DOCTOR: &[Flag] = &[
    Flag {
        names: &["-m", "--model"],
        action: Action::Value {
            name: "FILE|NAME",
            set: |s, v| {
                s.model = Some(v.into());
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_MODEL"),
        group: Group::Doctor,
        help: "Model that shall fit.",
    },
    Flag {
        names: &["--offline"],
        action: Action::Plain(|s| s.offline = true),
        env: Some("LLAMA_ARG_OFFLINE"),
        group: Group::Doctor,
        help: "Never use the network.",
    },
    Flag {
        names: &["-c", "--ctx-size"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.context = Some(whole(v, 0)?).filter(|n| *n > 0);
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_CTX_SIZE"),
        group: Group::Doctor,
        help: "Context that shall fit (default: 0, as the model says).",
    },
    Flag {
        names: &["-t", "--threads"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.threads = threads(v)?;
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_THREADS"),
        group: Group::Doctor,
        help: "Threads to measure with (default: -1, as many as would be used).",
    },
    Flag {
        names: &["--efficiency-cores"],
        action: Action::Plain(|s| s.placement.efficiency_cores = true),
        env: None,
        group: Group::Doctor,
        help: "Count efficiency cores among the fast ones.",
    },
    Flag {
        names: &["--json"],
        action: Action::Plain(|s| s.json = true),
        env: None,
        group: Group::Doctor,
        help: "Print JSON.",
    },
    Flag {
        names: &["-h", "--help"],
        action: Action::Plain(|s| s.command = Command::Help),
        env: None,
        group: Group::Doctor,
        help: "Print this help.",
    },
];

/// The model may also be given without `-m`.
pub fn apply_words(settings: &mut Settings, words: &[String]) -> Result<(), CliError> {
    match words {
        [] => Ok(()),
        [model] => {
            settings.model = Some(model.clone());
            Ok(())
        }
        _ => Err(CliError::new("doctor takes at most one model").hint("llamafile doctor -m FILE")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn parsed(line: &str) -> Result<Settings, CliError> {
        parse(line.split(' ').map(str::to_owned).collect(), |_| None)
    }

    #[test]
    fn a_model_with_or_without_its_flag() {
        let settings = parsed("doctor --json -m a.gguf -c 512 -t 2 --efficiency-cores").unwrap();
        assert_eq!(settings.command, Command::Doctor);
        assert!(settings.json && settings.placement.efficiency_cores);
        assert_eq!(settings.model.as_deref(), Some("a.gguf"));
        assert_eq!((settings.context, settings.threads), (Some(512), Some(2)));
        assert_eq!(parsed("doctor a.gguf").unwrap().model.as_deref(), Some("a.gguf"));
        assert_eq!(parsed("doctor").unwrap().model, None);
        assert_eq!(parsed("doctor -h").unwrap().command, Command::Help);
        assert!(parsed("doctor a b").is_err());
        let late = parsed("-m x doctor").unwrap_err().to_string();
        assert!(late.contains("llamafile doctor [FLAGS]"), "{late}");
    }
}

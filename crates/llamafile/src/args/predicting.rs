//! Flags of `llamafile perplexity`; spellings and defaults are those of `llama-perplexity`.

use tools::perplexity::{Kind, OutputType};

use super::flag::{Action, Flag, Group, Invalid};
use super::shared;
use super::values::whole;
use crate::error::CliError;
use crate::settings::{Predicted, Settings};

const GROUP: Group = Group::Perplexity;

/// Flags of `llamafile perplexity`.
pub const PERPLEXITY: &[Flag] = &[
    shared::model(GROUP, "Model that predicts."),
    shared::offline(GROUP, "Never use the network."),
    shared::prompt(GROUP, "The text."),
    shared::prompt_file(GROUP, "File with the text or the tasks; - is standard input."),
    Flag {
        names: &["-bf", "--binary-file"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                s.perplexity.binary = Some(v.into());
                Ok(())
            },
        },
        env: None,
        group: GROUP,
        help: "File with the tasks of --multiple-choice.",
    },
    shared::context(GROUP, "Tokens of a chunk (default: 512)."),
    shared::batch(GROUP, "Tokens of all chunks that are evaluated side by side (default: 2048)."),
    shared::chunks(GROUP),
    Flag {
        names: &["--ppl-stride"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.perplexity.stride = whole(v, 0)?;
                Ok(())
            },
        },
        env: None,
        group: GROUP,
        help: "Have chunks overlap: each begins so many tokens after the one before, and its last \
               so many are scored (default: 0, chunks one after another).",
    },
    Flag {
        names: &["--ppl-output-type"],
        action: Action::Value {
            name: "0|1",
            set: |s, v| {
                s.perplexity.output = match v {
                    "0" => OutputType::Short,
                    "1" => OutputType::Long,
                    _ => return Err(Invalid::expected("0 or 1", v)),
                };
                Ok(())
            },
        },
        env: None,
        group: GROUP,
        help: "1 prints a line for each chunk, with the mean log-likelihood and its error \
               (default: 0).",
    },
    Flag {
        names: &["--kl-divergence-base", "--save-all-logits"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                s.perplexity.logits = Some(v.into());
                Ok(())
            },
        },
        env: None,
        group: GROUP,
        help: "File to save log-probabilities to, of this model; or with --kl-divergence to \
               compare with, of another one. llama-perplexity reads and writes the same files.",
    },
    Flag {
        names: &["--kl-divergence"],
        action: Action::Plain(|s| s.perplexity.what = Predicted::Divergence),
        env: None,
        group: GROUP,
        help: "Tell how far the model is from the one whose log-probabilities were saved; the text \
               is in that file, too.",
    },
    Flag {
        names: &["--hellaswag"],
        action: Action::Plain(|s| s.perplexity.what = Predicted::Tasks(Kind::HellaSwag)),
        env: None,
        group: GROUP,
        help: "Score endings of stories: tasks of six lines in -f.",
    },
    Flag {
        names: &["--winogrande"],
        action: Action::Plain(|s| s.perplexity.what = Predicted::Tasks(Kind::Winogrande)),
        env: None,
        group: GROUP,
        help: "Score who is meant: comma-separated values in -f.",
    },
    Flag {
        names: &["--multiple-choice"],
        action: Action::Plain(|s| s.perplexity.what = Predicted::Tasks(Kind::MultipleChoice)),
        env: None,
        group: GROUP,
        help: "Score answers of ARC, MMLU or TruthfulQA: a binary file in -bf.",
    },
    Flag {
        names: &["--hellaswag-tasks", "--winogrande-tasks", "--multiple-choice-tasks"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.perplexity.tasks = Some(whole(v, 0)?);
                Ok(())
            },
        },
        env: None,
        group: GROUP,
        help: "Tasks to take, in random order that is always the same; 0 for all (default: 400 of \
               HellaSwag, all of others).",
    },
    shared::threads(GROUP, "Threads (default: -1, one for each fast core that may be used)."),
    shared::efficiency_cores(GROUP),
    shared::key_type(GROUP, "Precision of keys in memory (default: f16)."),
    shared::value_type(GROUP, "Precision of values in memory (default: f16)."),
    shared::html(GROUP, "Write a page with charts."),
    shared::help(GROUP),
];

/// There are no operands.
pub fn apply_words(settings: &mut Settings, words: &[String]) -> Result<(), CliError> {
    if let Some(word) = words.first() {
        return Err(
            CliError::unexpected(word).hint("a text is given with -f FILE, a model with -m")
        );
    }
    let wish = &settings.perplexity;
    let no_text = settings.prompt.is_none();
    match wish.what {
        Predicted::Divergence if wish.logits.is_none() => {
            Err(CliError::new("--kl-divergence needs the log-probabilities of another model")
                .hint("save them with -m OTHER -f TEXT --kl-divergence-base FILE, then give FILE"))
        }
        Predicted::Tasks(Kind::MultipleChoice) if wish.binary.is_none() => {
            Err(CliError::new("--multiple-choice needs tasks").hint("give a binary file with -bf"))
        }
        Predicted::Text | Predicted::Tasks(Kind::HellaSwag | Kind::Winogrande) if no_text => {
            Err(CliError::new("there is no text").hint("give one with -f FILE"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{parsed, refused};
    use super::*;
    use crate::settings::Command;

    #[test]
    fn flags_as_llama_perplexity_has_them() {
        let line = "perplexity -m a.gguf -p text -c 256 -b 512 --chunks 3 --ppl-stride 64 \
                    --ppl-output-type 1 --kl-divergence-base x";
        let settings = parsed(line).unwrap();
        assert_eq!(settings.command, Command::Perplexity);
        assert_eq!(
            (settings.context, settings.batch, settings.chunks),
            (Some(256), Some(512), Some(3))
        );
        let wish = settings.perplexity;
        assert_eq!((wish.stride, wish.output), (64, OutputType::Long));
        assert_eq!((wish.logits, wish.what), (Some("x".into()), Predicted::Text));
        let tasks = parsed("perplexity --winogrande -p x --winogrande-tasks 7").unwrap().perplexity;
        assert_eq!((tasks.what, tasks.tasks), (Predicted::Tasks(Kind::Winogrande), Some(7)));
        assert!(refused("perplexity -m a").contains("there is no text"));
        assert!(refused("perplexity --kl-divergence").contains("of another model"));
        assert!(refused("perplexity --multiple-choice").contains("-bf"));
        assert!(refused("perplexity x").contains("unexpected argument \"x\""));
        assert!(refused("perplexity --chunks 0 -p x").contains("at least 1"));
    }
}

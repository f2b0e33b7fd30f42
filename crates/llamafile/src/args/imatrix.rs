//! Flags of `llamafile imatrix`; spellings and defaults are those of `llama-imatrix`.

use super::flag::{Action, Flag, Group};
use super::shared;
use super::values::{file, whole};
use crate::error::CliError;
use crate::settings::Settings;

const GROUP: Group = Group::Imatrix;

/// Flags of `llamafile imatrix`.
pub const IMATRIX: &[Flag] = &[
    shared::model(GROUP, "Model to measure, best in 16 bits or more."),
    shared::offline(GROUP, "Never use the network."),
    shared::prompt(GROUP, "The text."),
    Flag {
        names: &["-f", "--file"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                s.prompt = Some(file(v)?);
                s.imatrix.source = v.into();
                Ok(())
            },
        },
        env: None,
        group: GROUP,
        help: "File with the text: some hundred kilobytes of what the model is used for.",
    },
    Flag {
        names: &["-o", "--output-file"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                s.imatrix.output = v.into();
                Ok(())
            },
        },
        env: None,
        group: GROUP,
        help: "File to write (default: imatrix.gguf).",
    },
    Flag {
        names: &["--in-file"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                s.imatrix.earlier.push(v.into());
                Ok(())
            },
        },
        env: None,
        group: GROUP,
        help: "Add what this file has, of either format; there may be several, also without a text.",
    },
    Flag {
        names: &["--process-output"],
        action: Action::Plain(|s| s.imatrix.with_output = true),
        env: None,
        group: GROUP,
        help: "Measure the output matrix, too.",
    },
    Flag {
        names: &["--parse-special"],
        action: Action::Plain(|s| s.imatrix.special = true),
        env: None,
        group: GROUP,
        help: "Take special tokens that the text spells out for what they are.",
    },
    shared::context(GROUP, "Tokens of a chunk (default: 512)."),
    shared::batch(GROUP, "Tokens of all chunks that are evaluated side by side (default: 2048)."),
    shared::chunks(GROUP),
    Flag {
        names: &["--chunk", "--from-chunk"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.imatrix.skipped = whole(v, 0)?;
                Ok(())
            },
        },
        env: None,
        group: GROUP,
        help: "Leave out so many chunks at the beginning (default: 0).",
    },
    shared::threads(GROUP, "Threads (default: the physical performance cores)."),
    shared::help(GROUP),
];

/// No operands.
pub fn apply_words(settings: &mut Settings, words: &[String]) -> Result<(), CliError> {
    if let Some(word) = words.first() {
        return Err(
            CliError::unexpected(word).hint("a text is given with -f FILE, a model with -m")
        );
    }
    if settings.prompt.is_none() && settings.imatrix.earlier.is_empty() {
        return Err(CliError::new("there is no text").hint("give one with -f FILE"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{parsed, refused};

    #[test]
    fn a_text_or_earlier_files_are_needed() {
        let settings = parsed("imatrix -p x -o a.gguf --process-output --chunk 3 -c 64").unwrap();
        assert_eq!(settings.imatrix.output.to_str(), Some("a.gguf"));
        assert!(settings.imatrix.with_output && settings.imatrix.skipped == 3);
        assert_eq!(parsed("imatrix --in-file a --in-file b").unwrap().imatrix.earlier.len(), 2);
        assert!(refused("imatrix -o a.gguf").contains("-f FILE"));
        assert!(refused("imatrix text.txt").contains("text.txt"));
    }
}

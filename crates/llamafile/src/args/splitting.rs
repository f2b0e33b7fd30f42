//! Flags and operands of `llamafile split` and `llamafile merge`; spellings and defaults are those of
//! `llama-gguf-split`.

use tools::split::Limit;

use super::flag::{Action, Flag, Group, Invalid};
use super::shared;
use super::values::whole;
use crate::error::CliError;
use crate::settings::{Command, Settings};

/// Flags of both.
pub const SPLIT: &[Flag] = &[
    Flag {
        names: &["--split-max-tensors"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.split.limit = Limit::Tensors(whole(v, 1)?);
                Ok(())
            },
        },
        env: None,
        group: Group::Split,
        help: "Most tensors of a file (default: 128).",
    },
    Flag {
        names: &["--split-max-size"],
        action: Action::Value {
            name: "N(M|G)",
            set: |s, v| {
                s.split.limit = Limit::Bytes(size(v)?);
                Ok(())
            },
        },
        env: None,
        group: Group::Split,
        help: "Most bytes of a file's tensors instead, in megabytes or gigabytes, such as 2G.",
    },
    Flag {
        names: &["--no-tensor-first-split"],
        action: Action::Plain(|s| s.split.no_tensor_first = true),
        env: None,
        group: Group::Split,
        help: "Leave the first file without tensors, so that metadata can be fetched alone.",
    },
    Flag {
        names: &["--dry-run"],
        action: Action::Plain(|s| s.split.dry_run = true),
        env: None,
        group: Group::Split,
        help: "Print which files there would be, and write none.",
    },
    Flag {
        names: &["--merge"],
        action: Action::Plain(|s| s.split.merge = true),
        env: None,
        group: Group::Split,
        help: "Join files instead: the same as 'llamafile merge'.",
    },
    Flag {
        names: &["--split"],
        action: Action::Plain(|_| {}),
        env: None,
        group: Group::Split,
        help: "Split, as 'llamafile split' does anyway.",
    },
    shared::help(Group::Split),
];

fn size(text: &str) -> Result<u64, Invalid> {
    let units = [('M', 1_000_000), ('G', 1_000_000_000)];
    let bytes = units.into_iter().find_map(|(unit, bytes)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(bytes).filter(|&bytes| bytes > 0)
    });
    bytes.ok_or_else(|| Invalid::expected("a size such as 500M or 2G", text))
}

/// A file to read, and the name or the beginning of names to write.
pub fn apply_words(settings: &mut Settings, words: &[String]) -> Result<(), CliError> {
    if settings.split.merge {
        settings.command = Command::Merge;
    }
    let merges = settings.command == Command::Merge;
    let [input, output] = words else {
        return Err(match merges {
            true => CliError::new("merge needs the first file of a split model, and one to write")
                .hint("llamafile merge model-00001-of-00003.gguf model.gguf"),
            false => CliError::new("split needs a model, and the beginning of names to write")
                .hint("llamafile split --split-max-size 2G model.gguf model"),
        });
    };
    (settings.split.input, settings.split.output) = (input.into(), output.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{parsed, refused};
    use super::*;

    #[test]
    fn flags_as_llama_gguf_split_has_them() {
        let settings = parsed("split --split-max-size 2G --dry-run a.gguf b").unwrap();
        assert_eq!(settings.command, Command::Split);
        let split = settings.split;
        assert!(split.limit == Limit::Bytes(2_000_000_000) && split.dry_run);
        assert_eq!((split.input.to_str(), split.output.to_str()), (Some("a.gguf"), Some("b")));
        let tensors = parsed("split a b --split-max-tensors 7 --no-tensor-first-split").unwrap();
        assert!(tensors.split.limit == Limit::Tensors(7) && tensors.split.no_tensor_first);
        assert_eq!(parsed("split --merge a b").unwrap().command, Command::Merge);
        assert_eq!(parsed("merge a b").unwrap().command, Command::Merge);
        for size in ["2", "0G", "-1M", "G", "2K", "99999999999999G"] {
            assert!(
                refused(&format!("split --split-max-size {size} a b")).contains("such as 500M")
            );
        }
        assert!(refused("split a").contains("beginning of names"));
        assert!(refused("merge a").contains("first file of a split model"));
        assert!(refused("split --split-max-tensors 0 a b").contains("at least 1"));
    }
}

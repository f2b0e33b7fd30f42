//! Flags and operands of `llamafile quantize`; spellings are those of `llama-quantize`.

use std::fs;
use std::num::NonZero;

use tools::quantize::{Override, Replacement, Target, TensorType};

use super::flag::{Action, Flag, Group, Invalid};
use super::values::{MAX_THREADS, whole};
use super::{nearest, shared};
use crate::error::{CliError, describe};
use crate::settings::Settings;

/// Flags of `llamafile quantize`.
pub const QUANTIZE: &[Flag] = &[
    Flag {
        names: &["--imatrix"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                s.quantize.imatrix = Some(v.into());
                Ok(())
            },
        },
        env: None,
        group: Group::Quantize,
        help: "Importance matrix: keeps the columns exact that matter, which helps all targets \
               below Q6_K and is needed for the smallest.",
    },
    Flag {
        names: &["--include-weights"],
        action: Action::Value {
            name: "TEXT",
            set: |s, v| {
                s.quantize.include.push(v.into());
                Ok(())
            },
        },
        env: None,
        group: Group::Quantize,
        help: "Use it only for tensors whose name contains this; may be given several times.",
    },
    Flag {
        names: &["--exclude-weights"],
        action: Action::Value {
            name: "TEXT",
            set: |s, v| {
                s.quantize.exclude.push(v.into());
                Ok(())
            },
        },
        env: None,
        group: Group::Quantize,
        help: "Don't use it for tensors whose name contains this; may be given several times.",
    },
    Flag {
        names: &["--output-tensor-type"],
        action: Action::Value {
            name: "TYPE",
            set: |s, v| {
                s.quantize.output_type = Some(tensor_type(v)?);
                Ok(())
            },
        },
        env: None,
        group: Group::Quantize,
        help: "Type of the output matrix, such as q8_0.",
    },
    Flag {
        names: &["--token-embedding-type"],
        action: Action::Value {
            name: "TYPE",
            set: |s, v| {
                s.quantize.embedding_type = Some(tensor_type(v)?);
                Ok(())
            },
        },
        env: None,
        group: Group::Quantize,
        help: "Type of the token embedding.",
    },
    Flag {
        names: &["--tensor-type"],
        action: Action::Value {
            name: "PATTERN=TYPE",
            set: |s, v| {
                s.quantize.overrides.push(an_override(v)?);
                Ok(())
            },
        },
        env: None,
        group: Group::Quantize,
        help: "Type of tensors in whose name the regular expression is found, such as \
               attn_q=q8_0; may be given several times, and the first that fits counts.",
    },
    Flag {
        names: &["--tensor-type-file"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                let text = fs::read_to_string(v).map_err(|error| Invalid {
                    cause: format!("cannot read \"{v}\": {}", describe(&error)),
                    remedy: Some("give a text file of lines PATTERN=TYPE".into()),
                })?;
                for word in text.split_whitespace() {
                    s.quantize.overrides.push(an_override(word)?);
                }
                Ok(())
            },
        },
        env: None,
        group: Group::Quantize,
        help: "The same from a file, apart by spaces or lines.",
    },
    Flag {
        names: &["--pure"],
        action: Action::Plain(|s| s.quantize.pure = true),
        env: None,
        group: Group::Quantize,
        help: "One type for all matrices, no mixture.",
    },
    Flag {
        names: &["--leave-output-tensor"],
        action: Action::Plain(|s| s.quantize.leave_output = true),
        env: None,
        group: Group::Quantize,
        help: "Keep the output matrix as it is.",
    },
    Flag {
        names: &["--keep-split"],
        action: Action::Plain(|s| s.quantize.keep_split = true),
        env: None,
        group: Group::Quantize,
        help: "Write as many shards as there are, rather than one file.",
    },
    Flag {
        names: &["--allow-requantize"],
        action: Action::Plain(|s| s.quantize.allow_requantise = true),
        env: None,
        group: Group::Quantize,
        help: "Take a model that is quantised already; the losses add up.",
    },
    Flag {
        names: &["--prune-layers"],
        action: Action::Value {
            name: "N,...",
            set: |s, v| {
                for number in v.split(',') {
                    s.quantize.prune.insert(whole(number.trim(), 0)?);
                }
                Ok(())
            },
        },
        env: None,
        group: Group::Quantize,
        help: "Leave out these layers, counted from 0.",
    },
    Flag {
        names: &["--override-kv"],
        action: Action::Value {
            name: "KEY=TYPE:VALUE",
            set: |s, v| {
                let pair = v.split_once('=').filter(|(key, _)| !key.is_empty());
                let parsed = pair
                    .and_then(|(key, value)| Some((key.to_owned(), Replacement::parse(value)?)));
                let expected = "KEY=int:N, KEY=float:X, KEY=bool:true or KEY=str:TEXT";
                s.quantize.metadata.push(parsed.ok_or_else(|| Invalid::expected(expected, v))?);
                Ok(())
            },
        },
        env: None,
        group: Group::Quantize,
        help: "Metadata to replace or add; may be given several times.",
    },
    Flag {
        names: &["--dry-run"],
        action: Action::Plain(|s| s.quantize.dry_run = true),
        env: None,
        group: Group::Quantize,
        help: "Print type and size of every tensor, and write nothing.",
    },
    Flag {
        names: &["--max-buffer-size"],
        action: Action::Value { name: "MIB", set: |_, v| whole(v, 1).map(drop) },
        env: None,
        group: Group::Quantize,
        help: "Accepted for compatibility: some megabytes suffice here.",
    },
    shared::help(Group::Quantize),
];

const USAGE: &str = "llamafile quantize IN.gguf [OUT.gguf] TARGET [THREADS]";

/// Operands: the model, optionally the file to write, the target, optionally the number of threads.
pub fn apply_words(settings: &mut Settings, words: &[String]) -> Result<(), CliError> {
    let quantize = &mut settings.quantize;
    let (input, output, target, threads) = match words {
        [input, target, threads @ ..] if Target::named(target).is_some() => {
            (input, None, target, threads)
        }
        [input, output, target, threads @ ..] => (input, Some(output), target, threads),
        [_, target] => return Err(no_target(target)),
        _ => {
            return Err(CliError::new("quantize needs a model file and a target").hint(USAGE));
        }
    };
    let target = Target::named(target).ok_or_else(|| no_target(target))?;
    let beside = || {
        let name = format!("ggml-model-{}.gguf", target.name);
        std::path::Path::new(input).with_file_name(name)
    };
    quantize.input = input.into();
    quantize.output = output.map_or_else(beside, Into::into);
    quantize.target = Some(target);
    quantize.threads = match threads {
        [] => None,
        [threads] => {
            let number = threads.parse().ok().and_then(NonZero::new);
            let number = number.filter(|number| number.get() <= MAX_THREADS);
            let wrong = || {
                CliError::new(format!("\"{threads}\" is no number of threads"))
                    .hint(format!("give one from 1 to {MAX_THREADS}: {USAGE}"))
            };
            Some(number.ok_or_else(wrong)?)
        }
        [_, extra, ..] => {
            return Err(CliError::unexpected(extra).hint(USAGE));
        }
    };
    if !quantize.include.is_empty() && !quantize.exclude.is_empty() {
        return Err(CliError::new("--include-weights and --exclude-weights exclude each other")
            .hint("give one of them"));
    }
    Ok(())
}

fn no_target(name: &str) -> CliError {
    let error = CliError::new(format!("there is no target \"{name}\""));
    let names = tools::quantize::TARGETS.iter().map(|target| target.name);
    match nearest(&name.to_uppercase(), names) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint("'llamafile quantize --help' lists all; the usual choice is Q4_K_M"),
    }
}

/// A type that weights can have.
fn tensor_type(name: &str) -> Result<TensorType, Invalid> {
    TensorType::from_name(name).filter(|ty| ty.info().encode.is_some()).ok_or_else(|| {
        let all = TensorType::all().filter(|ty| ty.info().encode.is_some());
        let all: Vec<&str> = all.map(TensorType::name).collect();
        Invalid::expected("a type of weights", name).hint(format!("choose from {}", all.join(", ")))
    })
}

fn an_override(text: &str) -> Result<Override, Invalid> {
    let (_, ty) = text.rsplit_once('=').unwrap_or_default();
    let expected =
        || Invalid::expected("a regular expression and a type, such as attn_q=q8_0", text);
    if text.contains('=') {
        tensor_type(ty)?;
    }
    Override::parse(text).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{parsed, refused};
    use super::*;
    use crate::settings::{Command, Quantize};

    #[test]
    fn operands_are_those_of_llama_quantize() {
        let quantize = |line: &str| -> Quantize { parsed(line).unwrap().quantize };
        let q = quantize("quantize a/in.gguf out.gguf q4_k_m 8");
        assert_eq!((q.input.to_str(), q.output.to_str()), (Some("a/in.gguf"), Some("out.gguf")));
        assert_eq!((q.target.unwrap().name, q.threads.unwrap().get()), ("Q4_K_M", 8));
        let q = quantize("quantize a/in.gguf 15");
        assert_eq!(q.output.to_str(), Some("a/ggml-model-Q4_K_M.gguf"));
        let q = quantize(
            "quantize --imatrix i --tensor-type attn_[qk]=q8_0 --output-tensor-type F16 \
             --prune-layers 3,1 --override-kv a.b=int:4 --pure --dry-run in.gguf COPY",
        );
        assert_eq!((q.overrides.len(), q.metadata.len(), q.prune.len()), (1, 1, 2));
        assert!(q.pure && q.dry_run && q.output_type == Some(TensorType::F16));
        assert_eq!(parsed("quantize --help").unwrap().command, Command::Help);
    }

    #[test]
    fn mistakes_are_met_with_a_remedy() {
        assert!(refused("quantize in.gguf").contains("IN.gguf [OUT.gguf] TARGET"));
        assert!(refused("quantize in.gguf Q4_KM").contains("did you mean Q4_K_M?"));
        assert!(refused("quantize in.gguf out.gguf zzz").contains("usual choice is Q4_K_M"));
        assert!(refused("quantize in.gguf Q8_0 none").contains("is no number of threads"));
        assert!(refused("quantize in.gguf out Q8_0 2 3").contains("unexpected argument"));
        assert!(refused("quantize --tensor-type x=q9 in Q8_0").contains("choose from f32"));
        assert!(refused("quantize --tensor-type x in Q8_0").contains("attn_q=q8_0"));
        assert!(refused("quantize --override-kv a=u8:1 in Q8_0").contains("KEY=int:N"));
        let both = "quantize --include-weights a --exclude-weights b in Q8_0";
        assert!(refused(both).contains("exclude each other"));
    }
}

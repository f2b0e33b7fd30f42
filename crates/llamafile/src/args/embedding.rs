//! Flags and operands of `llamafile embed`; spellings and defaults are those of `llama-embedding`.

use engine::{Normalization, Pooling};

use super::flag::{Action, Flag, Group, Invalid};
use super::table::kv_type;
use super::values::{file, threads, whole};
use crate::error::CliError;
use crate::settings::{Command, Settings, Text, VectorFormat};

/// What becomes of the vectors of a text's tokens.
pub const POOLING: Flag = Flag {
    names: &["--pooling"],
    action: Action::Value {
        name: "KIND",
        set: |s, v| {
            s.embed.pooling = Some(match v {
                "none" => Pooling::None,
                "mean" => Pooling::Mean,
                "cls" => Pooling::First,
                "last" => Pooling::Last,
                "rank" => Pooling::Rank,
                _ => return Err(Invalid::expected("none, mean, cls, last or rank", v)),
            });
            Ok(())
        },
    },
    env: Some("LLAMA_ARG_POOLING"),
    group: Group::Embed,
    help: "What the vectors of a text's tokens become: none, mean, cls, last or rank \
           (default: as the model says).",
};

/// What tokens see.
pub const ATTENTION: Flag = Flag {
    names: &["--attention"],
    action: Action::Value {
        name: "KIND",
        set: |s, v| {
            s.embed.causal = Some(match v {
                "causal" => true,
                "non-causal" => false,
                _ => return Err(Invalid::expected("causal or non-causal", v)),
            });
            Ok(())
        },
    },
    env: None,
    group: Group::Embed,
    help: "Whether tokens see only earlier ones: causal or non-causal (default: as the model \
           says).",
};

/// Flags of `llamafile embed`.
pub const EMBED: &[Flag] = &[
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
        group: Group::Embed,
        help: "Model that embeds or ranks.",
    },
    Flag {
        names: &["--offline"],
        action: Action::Plain(|s| s.offline = true),
        env: Some("LLAMA_ARG_OFFLINE"),
        group: Group::Embed,
        help: "Never use the network.",
    },
    Flag {
        names: &["-p", "--prompt"],
        action: Action::Value {
            name: "TEXT",
            set: |s, v| {
                s.prompt = Some(Text::Typed(v.into()));
                Ok(())
            },
        },
        env: None,
        group: Group::Embed,
        help: "Texts, one a line. They may also be operands, or come from standard input.",
    },
    Flag {
        names: &["-f", "--file"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                s.prompt = Some(file(v)?);
                Ok(())
            },
        },
        env: None,
        group: Group::Embed,
        help: "The same, from a file; - is standard input.",
    },
    Flag {
        names: &["-e", "--escape"],
        action: Action::Switch { off: &["--no-escape"], set: |s, on| s.escape = Some(on) },
        env: None,
        group: Group::Embed,
        help: "Let \\n, \\t and the like in -p stand for the character they name (default: on).",
    },
    POOLING,
    ATTENTION,
    Flag {
        names: &["--embd-normalize", "--embd-normalise"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                let normalization = v.parse().ok().and_then(Normalization::from_number);
                let wanted = "a whole number of at least -1";
                s.embed.normalization =
                    normalization.ok_or_else(|| Invalid::expected(wanted, v))?;
                Ok(())
            },
        },
        env: None,
        group: Group::Embed,
        help: "Length of vectors: -1 as it is, 0 for 16-bit integers, 1 taxicab, 2 Euclidean, above \
               that a p-norm (default: 2).",
    },
    Flag {
        names: &["--embd-output-format"],
        action: Action::Value {
            name: "FORMAT",
            set: |s, v| {
                s.embed.format = match v {
                    "" => VectorFormat::Text,
                    "array" => VectorFormat::Array,
                    "json" => VectorFormat::Json { similarities: false },
                    "json+" => VectorFormat::Json { similarities: true },
                    "raw" => VectorFormat::Raw,
                    _ => return Err(Invalid::expected("array, json, json+ or raw", v)),
                };
                Ok(())
            },
        },
        env: None,
        group: Group::Embed,
        help: "array for [[…],…], json as OpenAI has it, json+ with cosines too, raw for one vector \
               a line (default: for people to read).",
    },
    Flag {
        names: &["--embd-separator"],
        action: Action::Value {
            name: "TEXT",
            set: |s, v| {
                s.embed.separator = v.into();
                Ok(())
            },
        },
        env: None,
        group: Group::Embed,
        help: "What separates texts (default: the end of a line).",
    },
    Flag {
        names: &["--cls-separator"],
        action: Action::Value {
            name: "TEXT",
            set: |s, v| {
                s.embed.pair_separator = v.into();
                Ok(())
            },
        },
        env: None,
        group: Group::Embed,
        help: "What separates a question from the text to rank (default: a tab).",
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
        group: Group::Embed,
        help: "Tokens that a text may have (default: 0, as the model says).",
    },
    Flag {
        names: &["-b", "--batch-size", "-ub", "--ubatch-size"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.batch = Some(whole(v, 1)?);
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_BATCH"),
        group: Group::Embed,
        help: "Most tokens that are evaluated at once, of several texts.",
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
        group: Group::Embed,
        help: "Threads (default: -1, one for each fast core that may be used).",
    },
    Flag {
        names: &["-ctk", "--cache-type-k"],
        action: Action::Value {
            name: "TYPE",
            set: |s, v| {
                s.key_type = kv_type(v)?;
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_CACHE_TYPE_K"),
        group: Group::Embed,
        help: "Precision of keys while a text is read (default: f16).",
    },
    Flag {
        names: &["-ctv", "--cache-type-v"],
        action: Action::Value {
            name: "TYPE",
            set: |s, v| {
                s.value_type = kv_type(v)?;
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_CACHE_TYPE_V"),
        group: Group::Embed,
        help: "Precision of values while a text is read (default: f16).",
    },
    Flag {
        names: &["-h", "--help"],
        action: Action::Plain(|s| s.command = Command::Help),
        env: None,
        group: Group::Embed,
        help: "Print this help.",
    },
];

/// Each operand is a text.
pub fn apply_words(settings: &mut Settings, words: &[String]) -> Result<(), CliError> {
    if settings.prompt.is_some() && !words.is_empty() {
        return Err(CliError::new(format!("unexpected argument \"{}\"", words[0]))
            .hint("give texts as operands or with -p, not both"));
    }
    settings.embed.texts = words.to_vec();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn parsed(line: &[&str]) -> Result<Settings, CliError> {
        parse(line.iter().map(|s| s.to_string()).collect(), |_| None)
    }

    #[test]
    fn flags_as_llama_embedding_has_them() {
        let settings = parsed(&[
            "embed",
            "-m",
            "a.gguf",
            "--pooling",
            "cls",
            "--embd-normalize",
            "-1",
            "--embd-output-format",
            "json+",
            "--attention",
            "non-causal",
            "one text",
            "another",
        ])
        .unwrap();
        assert_eq!(settings.command, Command::Embed);
        assert_eq!(settings.embed.texts, ["one text", "another"]);
        assert_eq!(settings.embed.pooling, Some(Pooling::First));
        assert_eq!(settings.embed.normalization, Normalization::None);
        assert_eq!(settings.embed.format, VectorFormat::Json { similarities: true });
        assert_eq!(settings.embed.causal, Some(false));
        assert!(parsed(&["embed", "-p", "a", "b"]).is_err());
        assert!(parsed(&["embed", "--pooling", "max"]).is_err());
        assert!(parsed(&["embed", "--embd-normalize", "-2"]).is_err());
    }
}

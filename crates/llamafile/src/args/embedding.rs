//! Flags and operands of `llamafile embed`; spellings and defaults are those of `llama-embedding`.

use engine::{Normalization, Pooling};

use super::flag::{Action, Flag, Group, Invalid};
use super::shared;
use super::values::whole;
use crate::error::CliError;
use crate::settings::{Settings, VectorFormat};

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
    shared::model(Group::Embed, "Model that embeds or ranks."),
    shared::offline(Group::Embed, "Never use the network."),
    shared::prompt(
        Group::Embed,
        "Texts, one a line. They may also be operands, or come from standard input.",
    ),
    shared::prompt_file(Group::Embed, "The same, from a file; - is standard input."),
    shared::escape(
        Group::Embed,
        "Let \\n, \\t and the like in -p stand for the character they name (default: on).",
    ),
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
    shared::context(Group::Embed, "Tokens that a text may have (default: 0, as the model says)."),
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
    shared::threads(
        Group::Embed,
        "Threads (default: -1, one for each fast core that may be used).",
    ),
    shared::key_type(Group::Embed, "Precision of keys while a text is read (default: f16)."),
    shared::value_type(Group::Embed, "Precision of values while a text is read (default: f16)."),
    shared::help(Group::Embed),
];

/// Each operand is a text.
pub fn apply_words(settings: &mut Settings, words: &[String]) -> Result<(), CliError> {
    if settings.prompt.is_some() && !words.is_empty() {
        return Err(
            CliError::unexpected(&words[0]).hint("give texts as operands or with -p, not both")
        );
    }
    settings.embed.texts = words.to_vec();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::parsed_words;
    use super::*;
    use crate::settings::Command;

    #[test]
    fn flags_as_llama_embedding_has_them() {
        let settings = parsed_words(&[
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
        assert!(parsed_words(&["embed", "-p", "a", "b"]).is_err());
        assert!(parsed_words(&["embed", "--pooling", "max"]).is_err());
        assert!(parsed_words(&["embed", "--embd-normalize", "-2"]).is_err());
    }
}

//! Flags of `llamafile tokenize`; spellings and defaults are those of `llama-tokenize`.

use super::flag::{Action, Flag, Group};
use super::shared;
use crate::error::CliError;
use crate::settings::{Settings, Tokenized};

/// Flags of `llamafile tokenize`.
pub const TOKENIZE: &[Flag] = &[
    shared::model(Group::Tokenize, "Model whose tokenizer is used; weights are not read."),
    shared::offline(Group::Tokenize, "Never use the network."),
    shared::prompt(Group::Tokenize, "The text."),
    Flag {
        names: &["-f", "--file"],
        action: Action::Value {
            name: "FILE",
            set: |s, v| {
                s.tokenize.source = Tokenized::File(v.into());
                Ok(())
            },
        },
        env: None,
        group: Group::Tokenize,
        help: "File with the text, which is taken as it is, to the end of its last line.",
    },
    Flag {
        names: &["--stdin"],
        action: Action::Plain(|s| s.tokenize.source = Tokenized::Stdin),
        env: None,
        group: Group::Tokenize,
        help: "Read the text from standard input.",
    },
    shared::escape(
        Group::Tokenize,
        "Let \\n, \\t and the like stand for the character they name, in files too (default: on).",
    ),
    Flag {
        names: &["--ids"],
        action: Action::Plain(|s| s.tokenize.format.ids = true),
        env: None,
        group: Group::Tokenize,
        help: "Print just the ids, as a list such as [1, 2, 3].",
    },
    Flag {
        names: &["--no-bos"],
        action: Action::Plain(|s| s.tokenize.no_bos = true),
        env: None,
        group: Group::Tokenize,
        help: "Leave out the token that begins texts, where the model wants one.",
    },
    Flag {
        names: &["--parse-special"],
        action: Action::Switch {
            off: &["--no-parse-special"],
            set: |s, on| s.tokenize.plain = !on,
        },
        env: None,
        group: Group::Tokenize,
        help: "Read texts of special tokens, such as <|im_end|>, as these (default: on).",
    },
    Flag {
        names: &["--show-count"],
        action: Action::Plain(|s| s.tokenize.format.count = true),
        env: None,
        group: Group::Tokenize,
        help: "Print how many tokens there are, too.",
    },
    shared::help(Group::Tokenize),
];

/// There are no operands.
pub fn apply_words(settings: &mut Settings, words: &[String]) -> Result<(), CliError> {
    if let Some(word) = words.first() {
        return Err(CliError::unexpected(word)
            .hint("a text is given with -p \"…\" (in quotes), a model with -m"));
    }
    if settings.prompt.is_none() && settings.tokenize.source == Tokenized::Prompt {
        return Err(CliError::new("there is no text")
            .hint("give one with -p \"…\", with -f FILE, or with --stdin"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{parsed, refused};
    use super::*;
    use crate::settings::Command;

    #[test]
    fn flags_as_llama_tokenize_has_them() {
        let line = "tokenize -m a.gguf -p hi --ids --no-bos --no-parse-special --no-escape";
        let settings = parsed(line).unwrap();
        assert_eq!(settings.command, Command::Tokenize);
        assert_eq!(settings.escape, Some(false));
        let tokenize = settings.tokenize;
        assert!(tokenize.no_bos && tokenize.plain && tokenize.format.ids && !tokenize.format.count);
        let file = parsed("tokenize -f x --show-count").unwrap().tokenize;
        assert!(file.source == Tokenized::File("x".into()) && file.format.count);
        assert!(refused("tokenize -m a").contains("there is no text"));
        assert!(refused("tokenize hello").contains("unexpected argument \"hello\""));
    }
}

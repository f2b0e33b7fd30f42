//! The flags of speculative decoding; spellings and defaults are llama.cpp's, older ones too.

use super::flag::{Action, Flag, Group, Invalid};
use super::values::{number, whole};
use crate::settings::Guesses;

/// Every flag of speculative decoding.
pub const DRAFTING: &[Flag] = &[
    Flag {
        names: &["-md", "--model-draft", "--spec-draft-model"],
        action: Action::Value {
            name: "FILE|NAME",
            set: |s, v| {
                s.drafting.guesses = Guesses::Model(v.into());
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_SPEC_DRAFT_MODEL"),
        group: Group::Drafting,
        help: "A small model of the same vocabulary, which guesses tokens that the model then \
               evaluates together. Answers stay what they are.",
    },
    Flag {
        names: &["--spec-type"],
        action: Action::Value {
            name: "TYPE",
            set: |s, v| {
                match v {
                    "none" => s.drafting.guesses = Guesses::None,
                    "ngram-simple" => s.drafting.guesses = Guesses::NGrams,
                    // Its model is given by another flag.
                    "draft-simple" => {}
                    _ => {
                        let types = "none, draft-simple (with -md) or ngram-simple";
                        return Err(Invalid::expected(types, v));
                    }
                }
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_SPEC_TYPE"),
        group: Group::Drafting,
        help: "ngram-simple guesses, without a model, that what followed the last tokens before \
               follows again (default: none, draft-simple with -md).",
    },
    Flag {
        names: &["--spec-ngram-simple-size-n"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.drafting.ngram = whole(v, 1)?;
                Ok(())
            },
        },
        env: None,
        group: Group::Drafting,
        help: "Tokens that must be the same for that (default: 12).",
    },
    Flag {
        names: &["--spec-draft-n-max", "--draft-max", "--draft", "--draft-n"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.drafting.n_max = Some(whole(v, 0)?);
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_SPEC_DRAFT_N_MAX"),
        group: Group::Drafting,
        help: "Most tokens to guess at once (default: 3, with ngram-simple 48).",
    },
    Flag {
        names: &["--spec-draft-n-min", "--draft-min", "--draft-n-min"],
        action: Action::Value {
            name: "N",
            set: |s, v| {
                s.drafting.n_min = whole(v, 0)?;
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_SPEC_DRAFT_N_MIN"),
        group: Group::Drafting,
        help: "Forget guesses of fewer tokens (default: 0).",
    },
    Flag {
        names: &["--spec-draft-p-min", "--draft-p-min"],
        action: Action::Value {
            name: "X",
            set: |s, v| {
                s.drafting.p_min = number(v, 0.0..=1.0)?;
                Ok(())
            },
        },
        env: Some("LLAMA_ARG_SPEC_DRAFT_P_MIN"),
        group: Group::Drafting,
        help: "Guess on while the draft model is this sure (default: 0).",
    },
];

#[cfg(test)]
mod tests {
    use super::super::testing::parsed;
    use super::*;

    #[test]
    fn old_and_new_spellings() {
        for line in [
            "-m a -md b --draft-max 8 --draft-min 2 --draft-p-min 0.5",
            "-m a --spec-draft-model b --spec-draft-n-max 8 --spec-draft-n-min 2 \
             --spec-draft-p-min 0.5 --spec-type draft-simple",
        ] {
            let drafting = parsed(line).unwrap().drafting;
            assert_eq!(drafting.guesses, Guesses::Model("b".into()));
            assert_eq!((drafting.n_max, drafting.n_min), (Some(8), 2));
            assert_eq!(drafting.p_min, 0.5);
        }
    }
}

//! Flags and operands of `llamafile hash`; spellings and defaults are those of `llama-gguf-hash`.

use tools::hash::Algorithm;

use super::flag::{Action, Flag, Group};
use super::shared;
use crate::error::CliError;
use crate::settings::{Hashing, Settings};

/// Flags of `llamafile hash`.
pub const HASH: &[Flag] = &[
    Flag {
        names: &["--xxh64"],
        action: Action::Plain(|s| add(&mut s.hash, Algorithm::Xxh64)),
        env: None,
        group: Group::Hash,
        help: "xxHash of 64 bits, the fastest. This is what happens without a choice.",
    },
    Flag {
        names: &["--sha1"],
        action: Action::Plain(|s| add(&mut s.hash, Algorithm::Sha1)),
        env: None,
        group: Group::Hash,
        help: "SHA-1.",
    },
    Flag {
        names: &["--sha256"],
        action: Action::Plain(|s| add(&mut s.hash, Algorithm::Sha256)),
        env: None,
        group: Group::Hash,
        help: "SHA-256, which nobody can forge.",
    },
    Flag {
        names: &["--all"],
        action: Action::Plain(|s| {
            let all = [Algorithm::Xxh64, Algorithm::Sha1, Algorithm::Sha256];
            all.into_iter().for_each(|algorithm| add(&mut s.hash, algorithm));
        }),
        env: None,
        group: Group::Hash,
        help: "All three.",
    },
    Flag {
        names: &["--uuid"],
        action: Action::Plain(|s| add(&mut s.hash, Algorithm::Uuid)),
        env: None,
        group: Group::Hash,
        help: "A UUID (version 5) of the model's weights.",
    },
    Flag {
        names: &["--no-layer"],
        action: Action::Plain(|s| s.hash.whole_only = true),
        env: None,
        group: Group::Hash,
        help: "Of the whole model only, not of each tensor.",
    },
    Flag {
        names: &["-c", "--check", "--manifest"],
        action: Action::Value {
            name: "MANIFEST",
            set: |s, v| {
                s.hash.manifest = Some(v.into());
                Ok(())
            },
        },
        env: None,
        group: Group::Hash,
        help: "Compare with what was printed before, by the strongest kind of hash in it.",
    },
    shared::help(Group::Hash),
];

fn add(hash: &mut Hashing, algorithm: Algorithm) {
    if !hash.algorithms.contains(&algorithm) {
        hash.algorithms.push(algorithm);
    }
}

/// The one operand is the file.
pub fn apply_words(settings: &mut Settings, words: &[String]) -> Result<(), CliError> {
    let [file] = words else {
        return Err(
            CliError::new("hash needs one model file").hint("llamafile hash --sha256 model.gguf")
        );
    };
    settings.model = Some(file.clone());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{parsed, refused};
    use super::*;
    use crate::settings::Command;

    #[test]
    fn flags_as_llama_gguf_hash_has_them() {
        let settings = parsed("hash --all --uuid --sha1 --no-layer -c m.txt a.gguf").unwrap();
        assert_eq!(settings.command, Command::Hash);
        assert_eq!(settings.hash.algorithms, Algorithm::ALL);
        assert!(settings.hash.whole_only);
        assert_eq!(settings.hash.manifest, Some("m.txt".into()));
        assert!(refused("hash").contains("needs one model file"));
    }
}

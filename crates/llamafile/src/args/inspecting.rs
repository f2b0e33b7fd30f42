//! Flags and operands of `llamafile inspect`.

use super::flag::{Action, Flag, Group};
use super::shared;
use crate::error::CliError;
use crate::settings::{Settings, View};

/// Flags of `llamafile inspect`.
pub const INSPECT: &[Flag] = &[
    shared::model(Group::Inspect, "The model, which may also be given without -m."),
    shared::offline(Group::Inspect, "Never use the network."),
    Flag {
        names: &["--tensors"],
        action: Action::Plain(|s| s.inspect = View::Tensors),
        env: None,
        group: Group::Inspect,
        help: "Print just the tensors: name, type, shape and bytes.",
    },
    Flag {
        names: &["--metadata"],
        action: Action::Value {
            name: "KEY|all",
            set: |s, v| {
                s.inspect = match v {
                    "all" => View::Metadata,
                    key => View::Key(key.into()),
                };
                Ok(())
            },
        },
        env: None,
        group: Group::Inspect,
        help: "Print just the value of a key, all of it; or all keys, with long values abbreviated.",
    },
    Flag {
        names: &["--template"],
        action: Action::Plain(|s| s.inspect = View::Template),
        env: None,
        group: Group::Inspect,
        help: "Print just the chat template.",
    },
    shared::json(Group::Inspect, "Print all of it as JSON."),
    shared::html(Group::Inspect, "Write a page with charts."),
    shared::help(Group::Inspect),
];

/// The one operand is the file.
pub fn apply_words(settings: &mut Settings, words: &[String]) -> Result<(), CliError> {
    match (words, &settings.model) {
        ([], Some(_)) => Ok(()),
        ([file], None) => {
            settings.model = Some(file.clone());
            Ok(())
        }
        _ => Err(CliError::new("inspect needs one file").hint("llamafile inspect model.gguf")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{parsed, refused};
    use super::*;
    use crate::settings::Command;

    #[test]
    fn a_file_and_what_to_show_of_it() {
        let settings = parsed("inspect a.gguf --metadata general.name --html x.html").unwrap();
        assert_eq!(settings.command, Command::Inspect);
        assert_eq!(settings.model.as_deref(), Some("a.gguf"));
        assert_eq!(settings.inspect, View::Key("general.name".into()));
        assert_eq!(settings.html, Some("x.html".into()));
        assert_eq!(parsed("inspect -m a --tensors").unwrap().inspect, View::Tensors);
        assert!(refused("inspect").contains("needs one file"));
        assert!(refused("inspect a b").contains("needs one file"));
        assert!(refused("inspect a --engines b").contains("unknown flag --engines"));
    }
}

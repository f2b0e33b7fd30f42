//! Flags and operands of `llamafile doctor`.

use super::flag::{Flag, Group};
use super::shared;
use crate::error::CliError;
use crate::settings::Settings;

/// Flags of `llamafile doctor`; those of generating text mean the same.
pub const DOCTOR: &[Flag] = &[
    shared::model(Group::Doctor, "Model that shall fit."),
    shared::offline(Group::Doctor, "Never use the network."),
    shared::context(Group::Doctor, "Context that shall fit (default: 0, as the model says)."),
    shared::threads(
        Group::Doctor,
        "Threads to measure with (default: -1, as many as would be used).",
    ),
    shared::efficiency_cores(Group::Doctor),
    shared::json(Group::Doctor, "Print JSON."),
    shared::help(Group::Doctor),
];

/// The model may also be given without `-m`.
pub fn apply_words(settings: &mut Settings, words: &[String]) -> Result<(), CliError> {
    match words {
        [] => Ok(()),
        [model] => {
            settings.model = Some(model.clone());
            Ok(())
        }
        _ => Err(CliError::new("doctor takes at most one model").hint("llamafile doctor -m FILE")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::parsed;
    use crate::settings::Command;

    #[test]
    fn a_model_with_or_without_its_flag() {
        let settings = parsed("doctor --json -m a.gguf -c 512 -t 2 --efficiency-cores").unwrap();
        assert_eq!(settings.command, Command::Doctor);
        assert!(settings.json && settings.placement.efficiency_cores);
        assert_eq!(settings.model.as_deref(), Some("a.gguf"));
        assert_eq!((settings.context, settings.threads), (Some(512), Some(2)));
        assert_eq!(parsed("doctor a.gguf").unwrap().model.as_deref(), Some("a.gguf"));
        assert_eq!(parsed("doctor").unwrap().model, None);
        assert_eq!(parsed("doctor -h").unwrap().command, Command::Help);
        assert!(parsed("doctor a b").is_err());
        let late = parsed("-m x doctor").unwrap_err().to_string();
        assert!(late.contains("llamafile doctor [FLAGS]"), "{late}");
    }
}

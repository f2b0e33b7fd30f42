//! Flags and operands of `llamafile selftest`.

use super::flag::{Flag, Group};
use super::shared;
use crate::error::CliError;
use crate::settings::Settings;

/// Flags of `llamafile selftest`; those of generating text mean the same.
pub const SELFTEST: &[Flag] = &[
    shared::threads(Group::Selftest, "Threads that test (default: -1, as many as would be used)."),
    shared::json(Group::Selftest, "Print JSON."),
    shared::help(Group::Selftest),
];

/// Operands are parts of kernels' names.
pub fn apply_words(settings: &mut Settings, words: &[String]) -> Result<(), CliError> {
    settings.kernels = words.to_vec();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::parsed;
    use crate::settings::Command;

    #[test]
    fn names_and_threads() {
        let settings = parsed("selftest avx2/Q4_K rope -t 2 --json").unwrap();
        assert_eq!(settings.command, Command::Selftest);
        assert_eq!(settings.kernels, ["avx2/Q4_K", "rope"]);
        assert!(settings.json && settings.threads == Some(2));
        assert!(parsed("selftest").unwrap().kernels.is_empty());
    }
}

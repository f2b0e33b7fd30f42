//! Command lines for tests.

use super::parse;
use crate::error::CliError;
use crate::settings::Settings;

/// What the words ask for, with nothing in the environment.
pub fn parsed_words(words: &[&str]) -> Result<Settings, CliError> {
    parse(words.iter().map(|word| (*word).to_owned()).collect(), |_| None)
}

/// The same, of words separated by spaces.
pub fn parsed(line: &str) -> Result<Settings, CliError> {
    parsed_words(&line.split(' ').collect::<Vec<_>>())
}

/// Why the words are refused.
pub fn refused_words(words: &[&str]) -> String {
    match parsed_words(words) {
        Ok(_) => panic!("accepted {words:?}"),
        Err(error) => error.to_string(),
    }
}

/// The same, of words separated by spaces.
pub fn refused(line: &str) -> String {
    refused_words(&line.split(' ').collect::<Vec<_>>())
}

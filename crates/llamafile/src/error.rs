//! The one error the command prints: a cause and a remedy.

use std::{fmt, io};

/// Why a command failed, and what the user can do about it.
#[derive(Debug)]
pub struct CliError {
    cause: String,
    remedy: Option<String>,
}

impl CliError {
    /// An error with its cause, in one line.
    pub fn new(cause: impl fmt::Display) -> Self {
        Self { cause: cause.to_string(), remedy: None }
    }

    /// An error about an argument that the command doesn't take.
    pub fn unexpected(argument: &str) -> Self {
        Self::new(format!("unexpected argument \"{argument}\""))
    }

    /// Adds what the user can do about it.
    pub fn hint(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = Some(remedy.to_string());
        self
    }

    /// Names the thing that the error is about.
    pub fn within(mut self, thing: impl fmt::Display) -> Self {
        self.cause = format!("{thing}: {}", self.cause);
        self
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.cause)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\nhint: {remedy}"),
            None => Ok(()),
        }
    }
}

/// Why an input or output operation failed, without the system's error number.
pub fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::IsADirectory => "it is a directory".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".into(),
        _ => error.to_string(),
    }
}

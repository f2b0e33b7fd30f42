use crate::jinja::{Raised, TooMuch};

/// Why a template can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The template is not valid Jinja.
    #[error("the chat template is not valid: {0}")]
    Parse(String),
    /// The template refuses these messages.
    #[error("the chat template refuses these messages: {0}")]
    Raised(String),
    /// The template ran for too long.
    #[error("the chat template takes more than {0} steps: it may be meant to hang")]
    TooLong(u64),
    /// The template made too much text.
    #[error("the chat template makes too much text: it may be meant to take all memory")]
    TooLarge,
    /// The template failed in another way.
    #[error("the chat template fails: {0}")]
    Render(String),
    /// The function that must be called is none of the tools.
    #[error("tool_choice names the function {0:?}, which is none of the tools")]
    UnknownFunction(String),
}

impl Error {
    pub(crate) fn rendering(error: minijinja::Error, fuel: u64) -> Self {
        if error.kind() == minijinja::ErrorKind::OutOfFuel {
            return Self::TooLong(fuel);
        }
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(current) = cause {
            if let Some(Raised(message)) = current.downcast_ref() {
                return Self::Raised(message.clone());
            }
            if current.is::<TooMuch>() {
                return Self::TooLarge;
            }
            cause = current.source();
        }
        Self::Render(error.to_string())
    }
}

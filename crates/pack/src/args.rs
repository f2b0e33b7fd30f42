//! `.args`: the arguments that a file starts with.
//!
//! The format of the original project: one argument a line, in which `\n` is a line end; a line
//! `...` stands for the arguments of the user, which otherwise come last. Empty lines don't count.

use crate::Error;
use crate::archive::Archive;

/// Name of the member.
pub const MEMBER: &str = ".args";

/// Stands for the arguments of the user.
const USER: &str = "...";
/// Most bytes of the text.
const MAX_TEXT: u64 = 1 << 20;

/// The text in a file, if there is one.
///
/// # Errors
/// A text that is damaged, too long or not UTF-8.
pub fn of_archive(archive: &Archive) -> Result<Option<String>, Error> {
    if archive.entry(MEMBER).is_none() {
        return Ok(None);
    }
    let text = String::from_utf8(archive.read(MEMBER, MAX_TEXT)?);
    text.map(Some).map_err(|_| Error::damaged(archive.path(), ".args is not UTF-8"))
}

/// All arguments: those of the text, with the user's in their place.
pub fn expand(text: &str, user: Vec<String>) -> Vec<String> {
    let mut user = Some(user);
    let mut all = Vec::new();
    for line in text.split(['\n', '\r']).filter(|line| !line.is_empty()) {
        match line {
            USER => all.extend(user.take().unwrap_or_default()),
            line => all.push(line.replace("\\n", "\n")),
        }
    }
    all.extend(user.unwrap_or_default());
    all
}

/// The text for arguments, the user's after them.
///
/// # Errors
/// An argument that the format can't hold, with the reason.
pub fn text<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<String, Error> {
    let mut text = String::new();
    for argument in arguments {
        let problem = match argument {
            "" => "is empty",
            USER => "stands for arguments of the user",
            argument if argument.contains('\r') => "has a carriage return",
            argument => {
                text += &argument.replace('\n', "\\n");
                text += "\n";
                continue;
            }
        };
        return Err(Error::Argument { argument: argument.to_owned(), problem });
    }
    Ok(text + USER + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Vec<String> {
        expand(text, vec!["-p".into(), "hi".into()])
    }

    #[test]
    fn the_users_arguments_take_their_place() {
        assert_eq!(expanded("-m\nx.gguf\n...\n-c\n5\n"), ["-m", "x.gguf", "-p", "hi", "-c", "5"]);
        assert_eq!(expanded("-m\r\nx y.gguf\r\n\r\n"), ["-m", "x y.gguf", "-p", "hi"]);
        assert_eq!(expanded("..."), ["-p", "hi"]);
        assert_eq!(expanded("...\n..."), ["-p", "hi"]);
        assert_eq!(expanded(""), ["-p", "hi"]);
        assert_eq!(expanded("-r\na\\nb"), ["-r", "a\nb", "-p", "hi"]);
    }

    #[test]
    fn arguments_read_back() {
        let arguments = ["-m", "/zip/a b.gguf", "-p", "two\nlines", "ünï"];
        assert_eq!(expand(&text(arguments).unwrap(), Vec::new()), arguments);
    }

    #[test]
    fn arguments_that_would_not_read_back_are_refused() {
        for argument in ["", "...", "a\rb"] {
            assert!(text(["-p", argument]).is_err(), "{argument:?}");
        }
    }
}

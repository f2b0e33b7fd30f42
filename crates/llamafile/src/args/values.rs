//! Arguments of flags: text to numbers and files, with errors that say what was expected.

use std::fs;
use std::io::{self, Read};
use std::ops::RangeInclusive;

use super::flag::Invalid;
use crate::error::describe;
use crate::settings::Text;

/// A whole number of at least `least`.
pub fn whole(text: &str, least: usize) -> Result<usize, Invalid> {
    text.parse()
        .ok()
        .filter(|number| *number >= least)
        .ok_or_else(|| Invalid::expected(&format!("a whole number of at least {least}"), text))
}

/// A whole number, where the `special` negative values stand for "no limit" or "you choose".
pub fn whole_or(text: &str, least: usize, special: &[&str]) -> Result<Option<usize>, Invalid> {
    if special.contains(&text) {
        return Ok(None);
    }
    text.parse().ok().filter(|number| *number >= least).map(Some).ok_or_else(|| {
        let wanted = format!("a whole number of at least {least} (or {})", special.join(", "));
        Invalid::expected(&wanted, text)
    })
}

/// Whole numbers of at least `least`, separated by commas.
pub fn whole_list(text: &str, least: usize) -> Result<Vec<usize>, Invalid> {
    let wanted = format!("whole numbers of at least {least}, separated by commas");
    let numbers = text.split(',').map(|part| part.trim().parse().ok().filter(|n| *n >= least));
    numbers.collect::<Option<_>>().ok_or_else(|| Invalid::expected(&wanted, text))
}

/// A number of threads, or -1 for as many as there are fast cores.
pub fn threads(text: &str) -> Result<Option<usize>, Invalid> {
    match whole_or(text, 1, &["-1"])? {
        Some(threads) if threads > MAX_THREADS => {
            Err(Invalid::expected(&format!("at most {MAX_THREADS} threads"), text))
        }
        threads => Ok(threads),
    }
}

/// As many as llama.cpp allows.
pub const MAX_THREADS: usize = 512;

/// A finite number within `range`.
pub fn number(text: &str, range: RangeInclusive<f32>) -> Result<f32, Invalid> {
    let wanted = match (*range.start(), *range.end()) {
        (f32::MIN, f32::MAX) => "a number".to_owned(),
        (low, f32::MAX) => format!("a number of at least {low}"),
        (low, high) => format!("a number from {low} to {high}"),
    };
    text.parse()
        .ok()
        .filter(|number: &f32| number.is_finite() && range.contains(number))
        .ok_or_else(|| Invalid::expected(&wanted, text))
}

/// `on`, `off` or `auto` (`None`), in llama.cpp's spellings.
pub fn on_off_auto(text: &str) -> Result<Option<bool>, Invalid> {
    match text {
        "on" | "enabled" | "true" | "1" => Ok(Some(true)),
        "off" | "disabled" | "false" | "0" => Ok(Some(false)),
        "auto" | "-1" => Ok(None),
        _ => Err(Invalid::expected("on, off or auto", text)),
    }
}

/// The text of a file (`-` is standard input), less one line end at its end.
pub fn file(path: &str) -> Result<Text, Invalid> {
    let read = match path {
        "-" => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map(|_| text)
        }
        path => fs::read_to_string(path),
    };
    let mut text = read.map_err(|error| Invalid {
        cause: format!("cannot read \"{path}\": {}", describe(&error)),
        remedy: Some("give the path of a UTF-8 text file, or - for standard input".into()),
    })?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(Text::Read(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_their_range_are_refused() {
        assert_eq!(whole("3", 1).unwrap(), 3);
        assert!(whole("0", 1).is_err());
        assert!(whole("1.5", 1).is_err());
        assert_eq!(whole_list("512, 0,7", 0).unwrap(), [512, 0, 7]);
        assert!(whole_list("1,,2", 0).is_err() && whole_list("", 0).is_err());
        assert!(whole_list("2,0", 1).is_err());
        assert_eq!(whole_or("-1", 1, &["-1"]).unwrap(), None);
        assert!(whole_or("-2", 1, &["-1"]).is_err());
        assert_eq!(number("0.5", 0.0..=1.0).unwrap(), 0.5);
        for text in ["x", "nan", "inf", "1.5", "-0.1", ""] {
            assert!(number(text, 0.0..=1.0).is_err(), "{text}");
        }
    }

    #[test]
    fn refusals_say_what_was_expected() {
        let refusal = number("x", 0.0..=f32::MAX).unwrap_err();
        assert_eq!(refusal.cause, "expected a number of at least 0, not \"x\"");
        let refusal = whole_or("0", 1, &["-1"]).unwrap_err();
        assert_eq!(refusal.cause, "expected a whole number of at least 1 (or -1), not \"0\"");
    }
}

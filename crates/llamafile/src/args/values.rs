//! Arguments of flags: text to numbers and files, with errors that say what was expected.

use std::fs;
use std::io::{self, Read};
use std::ops::RangeInclusive;

use super::flag::Invalid;
use crate::error::describe;
use crate::packed;
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

/// Processors that a mask or range may name, as many as llama.cpp allows.
const MAX_PROCESSORS: usize = 512;

/// The processors of a mask in hexadecimal, with or without `0x`.
pub fn cpu_mask(text: &str) -> Result<Vec<usize>, Invalid> {
    let wanted = || Invalid::expected("a mask in hexadecimal that is not 0, such as 0xff", text);
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut processors = Vec::new();
    for (place, digit) in digits.chars().rev().enumerate() {
        let digit = digit.to_digit(16).ok_or_else(wanted)?;
        processors.extend((0..4).filter(|bit| digit >> bit & 1 == 1).map(|bit| 4 * place + bit));
    }
    let in_range = processors.last().is_some_and(|&last| last < MAX_PROCESSORS);
    in_range.then_some(processors).ok_or_else(wanted)
}

/// The processors of a range such as `0-7`; either end may be left out.
pub fn cpu_range(text: &str) -> Result<RangeInclusive<usize>, Invalid> {
    let last = MAX_PROCESSORS - 1;
    let end = |text: &str, default: usize| match text {
        "" => Some(default),
        text => text.parse().ok().filter(|n| *n <= last),
    };
    let range = text.split_once('-').and_then(|(low, high)| Some(end(low, 0)?..=end(high, last)?));
    range.filter(|range| !range.is_empty()).ok_or_else(|| {
        Invalid::expected(&format!("a range of processors up to {last}, such as 0-7"), text)
    })
}

/// Whether threads have processors of their own: `1` or `0`.
pub fn cpu_strict(text: &str) -> Result<bool, Invalid> {
    match text {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(Invalid::expected("0 or 1", text)),
    }
}

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
        _ if let Some(packed) = packed::text(path) => {
            let bytes =
                packed.map_err(|error| Invalid { cause: error.to_string(), remedy: None })?;
            String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
        }
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
    fn processors_as_masks_and_ranges() {
        assert_eq!(cpu_mask("0x0f").unwrap(), [0, 1, 2, 3]);
        assert_eq!(cpu_mask("A1").unwrap(), [0, 5, 7]);
        assert_eq!(cpu_mask(&format!("1{}", "0".repeat(127))).unwrap(), [508]);
        for text in ["", "0x", "0", "xyz", "0xg", "-1", &format!("1{}", "0".repeat(128))] {
            assert!(cpu_mask(text).is_err(), "{text}");
        }
        assert_eq!(cpu_range("2-5").unwrap(), 2..=5);
        assert_eq!(cpu_range("-3").unwrap(), 0..=3);
        assert_eq!(cpu_range("510-").unwrap(), 510..=511);
        for text in ["", "3", "5-2", "0-512", "a-b", "1-2-3"] {
            assert!(cpu_range(text).is_err(), "{text}");
        }
        assert!(cpu_strict("1").unwrap() && !cpu_strict("0").unwrap() && cpu_strict("2").is_err());
    }

    #[test]
    fn refusals_say_what_was_expected() {
        let refusal = number("x", 0.0..=f32::MAX).unwrap_err();
        assert_eq!(refusal.cause, "expected a number of at least 0, not \"x\"");
        let refusal = whole_or("0", 1, &["-1"]).unwrap_err();
        assert_eq!(refusal.cause, "expected a whole number of at least 1 (or -1), not \"0\"");
    }
}

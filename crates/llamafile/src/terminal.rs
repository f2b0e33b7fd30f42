//! Colours, progress lines, and Ctrl-C.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::CliError;
use crate::settings::Color;

/// Colours for text, or none.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    on: bool,
}

/// How running text looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Face {
    /// Bold.
    pub bold: bool,
    /// Italic.
    pub italic: bool,
    /// As code.
    pub code: bool,
    /// As a heading.
    pub heading: bool,
    /// As words of others.
    pub quote: bool,
}

impl Style {
    /// The style for a stream; `is_terminal` says whether that is one.
    pub fn new(wish: Color, is_terminal: bool) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let on = match wish {
            Color::On => true,
            Color::Off => false,
            Color::Auto => is_terminal && !unwanted,
        };
        Self { on }
    }

    /// No colours.
    #[cfg(test)]
    pub fn plain() -> Self {
        Self { on: false }
    }

    /// Colours.
    #[cfg(test)]
    pub fn colourful() -> Self {
        Self { on: true }
    }

    /// Whether there are colours.
    pub fn is_on(self) -> bool {
        self.on
    }

    /// What turns one face into another.
    pub fn face(self, old: Face, new: Face) -> String {
        if !self.on || old == new {
            return String::new();
        }
        let codes = [
            (new.heading, "\x1b[1;4m"),
            (new.quote, "\x1b[2m"),
            (new.bold, "\x1b[1m"),
            (new.italic, "\x1b[3m"),
            (new.code, "\x1b[36m"),
        ];
        let codes = codes.into_iter().filter(|(on, _)| *on).map(|(_, code)| code);
        let reset = if old == Face::default() { "" } else { "\x1b[0m" };
        reset.to_owned() + &codes.collect::<String>()
    }

    /// For headings.
    pub fn bold(self, text: &str) -> String {
        self.wrap("\x1b[1m", text)
    }

    /// For remarks.
    pub fn dim(self, text: &str) -> String {
        self.wrap("\x1b[2m", text)
    }

    /// For what can be typed.
    pub fn accent(self, text: &str) -> String {
        self.wrap("\x1b[36m", text)
    }

    /// For what is wrong.
    pub fn alarm(self, text: &str) -> String {
        self.wrap("\x1b[1;31m", text)
    }

    /// For what the user types.
    pub fn user(self, text: &str) -> String {
        self.wrap("\x1b[1;32m", text)
    }

    /// For keywords of code.
    pub fn code_keyword(self, text: &str) -> String {
        self.wrap("\x1b[35m", text)
    }

    /// For text in quotes in code.
    pub fn code_text(self, text: &str) -> String {
        self.wrap("\x1b[32m", text)
    }

    /// For numbers in code.
    pub fn code_number(self, text: &str) -> String {
        self.wrap("\x1b[33m", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on { format!("{code}{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A line on standard error that is rewritten while something long goes on.
///
/// It shows on a terminal only, and not before the work has taken half a second.
pub struct Progress {
    label: String,
    unit: Unit,
    begun: Instant,
    start: u64,
    drawn: Option<Instant>,
    visible: bool,
}

/// What a [`Progress`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, shown in megabytes.
    Bytes,
    /// Tokens.
    Tokens,
    /// Kernels.
    Kernels,
}

const PATIENCE: Duration = Duration::from_millis(500);
const REDRAW: Duration = Duration::from_millis(100);
const BAR: usize = 24;

impl Progress {
    /// A line that counts on from `start`.
    pub fn new(label: impl Into<String>, unit: Unit, start: u64) -> Self {
        Self {
            label: label.into(),
            unit,
            begun: Instant::now(),
            start,
            drawn: None,
            visible: io::stderr().is_terminal(),
        }
    }

    /// Shows that `done` of `total` units are done.
    pub fn update(&mut self, done: u64, total: u64) {
        let now = Instant::now();
        let due = match self.drawn {
            Some(drawn) => now - drawn >= REDRAW,
            None => now - self.begun >= PATIENCE,
        };
        if self.visible && due {
            self.drawn = Some(now);
            let line = self.line(done, total, now - self.begun);
            // A progress line that cannot be shown is no reason to stop the work.
            let _ = write!(io::stderr(), "\r{line}\x1b[K");
        }
    }

    fn line(&self, done: u64, total: u64, elapsed: Duration) -> String {
        let share = if total == 0 { 1.0 } else { (done as f64 / total as f64).min(1.0) };
        let full = (share * BAR as f64) as usize;
        let bar = format!("{}{}", "█".repeat(full), "░".repeat(BAR - full));
        let rate = done.saturating_sub(self.start) as f64 / elapsed.as_secs_f64().max(1e-3);
        let count = match self.unit {
            Unit::Bytes => format!(
                "{:.1} of {:.1} MB, {:.1} MB/s",
                done as f64 / 1e6,
                total as f64 / 1e6,
                rate / 1e6
            ),
            Unit::Kernels => format!("{done} of {total} kernels"),
            Unit::Tokens => format!("{done} of {total} tokens, {rate:.0} tokens/s"),
        };
        format!("{} {bar} {:3.0}% {count}", self.label, share * 100.0)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C is remembered instead of ending the process.
///
/// A second one that comes before the first was taken notice of ends the process after all.
pub fn catch_interrupts() -> Result<(), CliError> {
    ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            let _ = writeln!(io::stderr(), "\x1b[0m");
            std::process::exit(130);
        }
    })
    .map_err(|error| CliError::new(format!("cannot take over Ctrl-C: {error}")))
}

/// Whether Ctrl-C was pressed since this was last asked.
pub fn interrupted() -> bool {
    INTERRUPTED.swap(false, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_wish() {
        assert_eq!(Style::new(Color::Off, true).bold("x"), "x");
        assert_eq!(Style::new(Color::On, false).bold("x"), "\x1b[1mx\x1b[0m");
        assert_eq!(Style::new(Color::Auto, false).bold("x"), "x");
    }

    #[test]
    fn progress_lines_show_share_and_rate() {
        let progress = Progress::new("fetching", Unit::Bytes, 10_000_000);
        let line = progress.line(30_000_000, 40_000_000, Duration::from_secs(2));
        assert!(line.starts_with("fetching ██████████████████░░░░░░ "), "{line}");
        assert!(line.ends_with(" 75% 30.0 of 40.0 MB, 10.0 MB/s"), "{line}");
        let empty = progress.line(0, 0, Duration::ZERO);
        assert!(empty.contains("100%"), "{empty}");
    }
}

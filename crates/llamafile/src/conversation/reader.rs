//! Messages from the keyboard, or line by line from elsewhere.

use std::fs;
use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Config, Editor};

use super::editing::Editing;
use crate::error::CliError;
use crate::models::history_file;
use crate::settings::Settings;
use crate::terminal::Style;

/// What the user did at the prompt.
pub enum Input {
    /// Entered a message or command.
    Text(String),
    /// Pressed Ctrl-C.
    Interrupt,
    /// Closed the input.
    End,
}

/// Marks the begin and the end of a message of several lines.
const BLOCK: &str = "\"\"\"";
const CONTINUED: &str = ". ";

/// Reads messages.
pub struct Reader {
    source: Source,
    style: Style,
}

enum Source {
    Editor { editor: Box<Editor<Editing, DefaultHistory>>, history: Option<PathBuf> },
    Lines,
}

impl Reader {
    /// A line editor on a terminal, unless the settings want none; plain lines otherwise.
    pub fn new(settings: &Settings, style: Style) -> Result<Self, CliError> {
        let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        if settings.simple_io || !terminal {
            return Ok(Self { source: Source::Lines, style });
        }
        let config = Config::builder().auto_add_history(false).build();
        let mut editor = Editor::with_config(config).map_err(|error| unusable(&error))?;
        editor.set_helper(Some(Editing::new(style)));
        let history = history_file();
        if let Some(path) = &history {
            // The first time there is no history yet.
            let _ = editor.load_history(path);
        }
        let source = Source::Editor { editor: Box::new(editor), history };
        Ok(Self { source, style })
    }

    /// The next message, asked for by `prompt`; a block between `"""` counts as one.
    pub fn read(&mut self, prompt: &str) -> Result<Input, CliError> {
        let mut text = match self.line(prompt)? {
            Input::Text(line) => line,
            other => return Ok(other),
        };
        if let Some(opened) = text.trim_start().strip_prefix(BLOCK) {
            let mut block = opened.to_owned();
            while !block.trim_end().ends_with(BLOCK) {
                match self.line(CONTINUED)? {
                    Input::Text(line) => {
                        block.push('\n');
                        block.push_str(&line);
                    }
                    other => return Ok(other),
                }
            }
            text = block.trim_end().trim_end_matches(BLOCK).trim_matches('\n').to_owned();
        }
        self.remember(&text);
        Ok(Input::Text(text))
    }

    /// Keeps the history for next time.
    pub fn finish(self) {
        if let Source::Editor { mut editor, history: Some(path) } = self.source {
            // A history that cannot be kept is no reason to complain when leaving.
            let _ = path.parent().map(fs::create_dir_all);
            let _ = editor.save_history(&path);
        }
    }

    fn line(&mut self, prompt: &str) -> Result<Input, CliError> {
        let Source::Editor { editor, .. } = &mut self.source else {
            return plain_line();
        };
        let styled = self.style.user(prompt);
        match editor.readline(&(prompt, styled.as_str())) {
            Ok(line) => Ok(Input::Text(line)),
            Err(ReadlineError::Interrupted) => Ok(Input::Interrupt),
            Err(ReadlineError::Eof) => Ok(Input::End),
            Err(error) => Err(unusable(&error)),
        }
    }

    fn remember(&mut self, text: &str) {
        if let Source::Editor { editor, .. } = &mut self.source
            && !text.trim().is_empty()
        {
            let _ = editor.add_history_entry(text);
        }
    }
}

fn plain_line() -> Result<Input, CliError> {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    match read.map_err(|error| CliError::new(format!("cannot read the input: {error}")))? {
        0 => Ok(Input::End),
        _ => Ok(Input::Text(line.trim_end_matches(['\n', '\r']).to_owned())),
    }
}

fn unusable(error: &ReadlineError) -> CliError {
    CliError::new(format!("the terminal cannot be used: {error}"))
        .hint("--simple-io reads plain lines")
}

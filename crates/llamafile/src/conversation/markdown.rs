//! Markdown on a terminal, as it streams: marks stay, and what they mean is shown besides.

use super::code::Code;
use crate::terminal::{Face, Style};

/// Shows markdown. Holds back only what may become a mark.
pub struct Markdown {
    style: Style,
    /// What the line has so far, while that may be the mark of a block.
    begin: Option<String>,
    /// A run of marks that may go on.
    run: String,
    face: Face,
    previous: char,
    code: Option<Code>,
}

const FENCE: &str = "```";

impl Markdown {
    /// Shows it in this style; as it is where that has no colours.
    pub fn new(style: Style) -> Self {
        let (begin, face) = (Some(String::new()), Face::default());
        Self { style, begin, run: String::new(), face, previous: '\n', code: None }
    }

    /// Takes more text and returns what to write.
    pub fn push(&mut self, text: &str) -> String {
        if !self.style.is_on() {
            return text.to_owned();
        }
        let mut out = String::new();
        text.chars().for_each(|c| self.push_char(c, &mut out));
        out
    }

    /// What was held back, and an end to all colours.
    pub fn finish(&mut self) -> String {
        let mut out = String::new();
        if let Some(begin) = self.begin.take() {
            out.push_str(&begin);
        }
        if let Some(code) = &mut self.code {
            code.finish(&mut out);
        }
        self.end_run(' ', &mut out);
        out.push_str(&self.style.face(self.face, Face::default()));
        *self = Self::new(self.style);
        out
    }

    fn push_char(&mut self, c: char, out: &mut String) {
        match &mut self.begin {
            Some(begin) => {
                begin.push(c);
                self.push_begin(out);
            }
            None => self.push_inside(c, out),
        }
    }

    /// At the begin of a line.
    fn push_begin(&mut self, out: &mut String) {
        let Some(line) = self.begin.clone() else { return };
        let text = line.trim_start();
        let is_fence = text.starts_with(FENCE);
        if is_fence && line.ends_with('\n') {
            out.push_str(&self.style.dim(line.trim_end_matches('\n')));
            out.push('\n');
            self.code = match self.code {
                Some(_) => None,
                None => Some(Code::new(self.style, text.trim_start_matches('`'))),
            };
            self.begin = Some(String::new());
            return;
        }
        let may_be_fence = is_fence || FENCE.starts_with(text) && !line.ends_with('\n');
        let hashes = text.trim_start_matches('#');
        let may_be_heading = self.code.is_none() && text.starts_with('#') && text.len() <= 6;
        if may_be_fence || may_be_heading && hashes.is_empty() {
            return;
        }
        self.begin = None;
        if may_be_heading && hashes == " " {
            self.set_face(Face { heading: true, ..self.face }, out);
        } else if self.code.is_none() && text.starts_with('>') {
            self.set_face(Face { quote: true, ..self.face }, out);
        }
        line.chars().for_each(|c| self.push_inside(c, out));
    }

    /// After the begin of a line.
    fn push_inside(&mut self, c: char, out: &mut String) {
        if let Some(code) = &mut self.code {
            code.push(c, out);
        } else if matches!(c, '*' | '`') && (self.run.is_empty() || self.run.ends_with(c)) {
            self.run.push(c);
        } else {
            self.end_run(c, out);
            match c {
                '*' | '`' => self.run.push(c),
                c => out.push(c),
            }
            if c != '*' && c != '`' {
                self.previous = c;
            }
        }
        if c == '\n' {
            // Marks that don't end on their line are none.
            self.set_face(Face::default(), out);
            self.begin = Some(String::new());
            self.previous = c;
        }
    }

    /// A run of marks has ended before `next`: it opens or closes something, or is text.
    fn end_run(&mut self, next: char, out: &mut String) {
        let run = std::mem::take(&mut self.run);
        let Some(mark) = run.chars().next() else { return };
        let (opens, closes) = (!next.is_whitespace(), !self.previous.is_whitespace());
        let old = self.face;
        let mut new = old;
        let toggle = |on: &mut bool| *on = if *on { !closes } else { opens };
        match (mark, run.len()) {
            ('`', _) => new.code = !old.code,
            _ if old.code => {}
            (_, 1) => toggle(&mut new.italic),
            (_, 2) => toggle(&mut new.bold),
            (_, 3) => {
                toggle(&mut new.italic);
                toggle(&mut new.bold);
            }
            _ => {}
        }
        self.previous = mark;
        // Marks are faint, unless they are text after all.
        if new == old {
            out.push_str(&run);
        } else {
            self.set_face(Face::default(), out);
            out.push_str(&self.style.dim(&run));
            self.set_face(new, out);
        }
    }

    fn set_face(&mut self, new: Face, out: &mut String) {
        out.push_str(&self.style.face(self.face, new));
        self.face = new;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is left without colours.
    fn plain(text: &str) -> String {
        let mut parts = text.split('\x1b');
        let first = parts.next().unwrap_or_default().to_owned();
        first
            + &parts
                .map(|part| part.split_once('m').map_or("", |(_, rest)| rest))
                .collect::<String>()
    }

    fn show(text: &str) -> String {
        let mut markdown = Markdown::new(Style::colourful());
        let shown = markdown.push(text);
        shown + &markdown.finish()
    }

    #[test]
    fn marks_have_their_meaning() {
        assert!(show("a **b** c").contains("\x1b[1mb"));
        assert!(show("a *b* c").contains("\x1b[3mb"));
        assert!(show("say `x = 1` now").contains("\x1b[36mx = 1"));
        assert!(show("# Title\ntext").contains("\x1b[1;4m# Title"));
        assert_eq!(show("2 * 3 * 4"), "2 * 3 * 4");
        assert_eq!(show("* item\n"), "* item\n");
        assert!(
            show("```python\ndef f(): # x\n```\n").contains("\x1b[35mdef\x1b[0m f(): \x1b[2m#")
        );
        assert!(show("```rust\nlet s = \"a // b\"; // c\n```\n").contains("; \x1b[2m//\x1b[0m"));
    }

    proptest! {
        /// Nothing is lost or added but colours, however the text comes.
        #[test]
        fn text_stays(pieces in prop::collection::vec("[a-c#*`>/\"' \n-]{0,6}", 0..20)) {
            let mut markdown = Markdown::new(Style::colourful());
            let mut shown: String = pieces.iter().map(|piece| markdown.push(piece)).collect();
            shown += &markdown.finish();
            prop_assert_eq!(plain(&shown), pieces.concat());
            let whole = show(&pieces.concat());
            prop_assert_eq!(whole, shown);
        }
    }
}

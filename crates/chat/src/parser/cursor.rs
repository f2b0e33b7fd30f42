/// Why reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// What follows decides.
    More,
    /// The text is not what was expected.
    Broken,
}

pub(super) type Read<T> = Result<T, Stop>;

/// How deep values may nest.
const DEPTH: usize = 64;

/// A place in a text that may still grow.
///
/// What is read depends only on the text before the place where reading stops, so that a text
/// reads the same however it arrives.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    /// No text follows.
    ended: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str, ended: bool) -> Self {
        Self { text, at: 0, ended }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Where the text is too short to tell.
    pub(super) fn more<T>(&self) -> Read<T> {
        Err(if self.ended { Stop::Broken } else { Stop::More })
    }

    /// Steps over white space. The text may end within it.
    pub(super) fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// The next character, which stays.
    pub(super) fn peek(&self) -> Read<char> {
        self.rest().chars().next().map_or_else(|| self.more(), Ok)
    }

    /// Steps over exactly this text.
    pub(super) fn literal(&mut self, text: &str) -> Read<()> {
        if self.rest().starts_with(text) {
            self.at += text.len();
            Ok(())
        } else if text.starts_with(self.rest()) {
            self.more()
        } else {
            Err(Stop::Broken)
        }
    }

    /// Steps over a marker, in which white space stands for any or none.
    pub(super) fn marker(&mut self, marker: &str) -> Read<()> {
        for piece in marker.split_whitespace() {
            self.space();
            self.literal(piece)?;
        }
        Ok(())
    }

    /// Steps over a marker where it comes next.
    pub(super) fn optional(&mut self, marker: &str) -> Read<bool> {
        let mut after = self.clone();
        match after.marker(marker) {
            Ok(()) => {
                let moved = after.at != self.at;
                *self = after;
                Ok(moved)
            }
            Err(Stop::Broken) => Ok(false),
            Err(Stop::More) => Err(Stop::More),
        }
    }

    /// The text before `end`, of at most `limit` bytes; steps over both.
    pub(super) fn until(&mut self, end: &str, limit: usize) -> Read<&'a str> {
        let rest = self.rest();
        if let Some(length) = rest.find(end).filter(|length| *length <= limit) {
            self.at += length + end.len();
            return Ok(&rest[..length]);
        }
        if rest.len() > limit.saturating_add(end.len()) { Err(Stop::Broken) } else { self.more() }
    }

    /// Steps over the longest of these names that comes next.
    pub(super) fn one_of<'n>(&mut self, names: impl Iterator<Item = &'n str>) -> Read<&'n str> {
        let rest = self.rest();
        let mut found = None;
        for name in names {
            if rest.starts_with(name) {
                found =
                    Some(found.filter(|other: &&str| other.len() >= name.len()).unwrap_or(name));
            } else if name.starts_with(rest) && !self.ended {
                return Err(Stop::More);
            }
        }
        let name = found.ok_or(Stop::Broken)?;
        self.at += name.len();
        Ok(name)
    }

    /// Steps over a JSON string, quotes included, and gives it as it is written.
    pub(super) fn string(&mut self) -> Read<&'a str> {
        let start = self.at;
        self.literal("\"")?;
        let mut escaped = false;
        for (i, byte) in self.rest().bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    self.at += i + 1;
                    return Ok(&self.text[start..self.at]);
                }
                0..b' ' => return Err(Stop::Broken),
                _ => {}
            }
        }
        self.more()
    }

    /// Steps over a JSON value, and gives it as it is written.
    pub(super) fn json(&mut self) -> Read<&'a str> {
        let start = self.at;
        self.json_within(0)?;
        Ok(&self.text[start..self.at])
    }

    fn json_within(&mut self, depth: usize) -> Read<()> {
        if depth > DEPTH {
            return Err(Stop::Broken);
        }
        match self.peek()? {
            '{' => self.list(depth, '}', |cursor| {
                cursor.string()?;
                cursor.space();
                cursor.literal(":")?;
                cursor.space();
                cursor.json_within(depth + 1)
            }),
            '[' => self.list(depth, ']', |cursor| cursor.json_within(depth + 1)),
            '"' => self.string().map(drop),
            _ => self.scalar().map(drop),
        }
    }

    /// Steps over a bracket, items with commas between, and the other bracket.
    pub(super) fn list(
        &mut self,
        depth: usize,
        close: char,
        mut item: impl FnMut(&mut Self) -> Read<()>,
    ) -> Read<()> {
        if depth > DEPTH {
            return Err(Stop::Broken);
        }
        self.skip(1);
        self.space();
        if self.peek()? == close {
            self.skip(1);
            return Ok(());
        }
        loop {
            item(self)?;
            self.space();
            match self.peek()? {
                ',' => self.skip(1),
                c if c == close => {
                    self.skip(1);
                    return Ok(());
                }
                _ => return Err(Stop::Broken),
            }
            self.space();
        }
    }

    /// Steps over a word or number: what ends it must be there, or the text must have ended.
    pub(super) fn scalar(&mut self) -> Read<&'a str> {
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        if length == rest.len() && !self.ended {
            return Err(Stop::More);
        }
        let word = &rest[..length];
        if serde_json::from_str::<serde_json::Value>(word).is_err()
            && !matches!(word, "True" | "False" | "None")
        {
            return Err(Stop::Broken);
        }
        self.skip(length);
        Ok(word)
    }
}

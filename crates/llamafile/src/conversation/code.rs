//! Colours for code, as it streams.

use crate::terminal::Style;

/// How a language looks.
struct Language {
    names: &'static [&'static str],
    /// What begins a comment that goes to the end of the line.
    comments: &'static [&'static str],
    /// What begins and ends a comment.
    block: Option<(&'static str, &'static str)>,
    quotes: &'static [char],
    keywords: &'static [&'static str],
}

const C_LIKE: &[&str] = &[
    "abstract",
    "as",
    "async",
    "await",
    "auto",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "class",
    "const",
    "continue",
    "crate",
    "default",
    "defer",
    "do",
    "double",
    "dyn",
    "else",
    "enum",
    "export",
    "extends",
    "extern",
    "false",
    "final",
    "float",
    "fn",
    "for",
    "from",
    "func",
    "function",
    "go",
    "goto",
    "if",
    "impl",
    "implements",
    "import",
    "in",
    "inline",
    "int",
    "interface",
    "let",
    "long",
    "loop",
    "match",
    "mod",
    "move",
    "mut",
    "namespace",
    "new",
    "nil",
    "null",
    "nullptr",
    "of",
    "override",
    "package",
    "private",
    "protected",
    "pub",
    "public",
    "range",
    "ref",
    "return",
    "self",
    "Self",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "super",
    "switch",
    "template",
    "this",
    "throw",
    "trait",
    "true",
    "try",
    "type",
    "typedef",
    "typename",
    "undefined",
    "union",
    "unsafe",
    "unsigned",
    "use",
    "using",
    "val",
    "var",
    "virtual",
    "void",
    "volatile",
    "where",
    "while",
    "yield",
];

const LANGUAGES: &[Language] = &[
    Language {
        names: &["python", "py", "ruby", "rb", "elixir", "julia", "r"],
        comments: &["#"],
        block: None,
        quotes: &['"', '\''],
        keywords: &[
            "False", "None", "True", "and", "as", "assert", "async", "await", "begin", "break",
            "class", "continue", "def", "del", "do", "elif", "else", "elsif", "end", "except",
            "false", "finally", "for", "from", "function", "global", "if", "import", "in", "is",
            "lambda", "module", "nil", "nonlocal", "not", "or", "pass", "raise", "require",
            "rescue", "return", "self", "then", "true", "try", "unless", "until", "when", "while",
            "with", "yield",
        ],
    },
    Language {
        names: &[
            "bash",
            "sh",
            "shell",
            "zsh",
            "fish",
            "console",
            "makefile",
            "dockerfile",
            "yaml",
            "toml",
        ],
        comments: &["#"],
        block: None,
        quotes: &['"', '\''],
        keywords: &[
            "alias", "case", "do", "done", "echo", "elif", "else", "esac", "exec", "exit",
            "export", "false", "fi", "for", "function", "if", "in", "local", "return", "set",
            "then", "true", "until", "while",
        ],
    },
    Language {
        names: &["sql", "lua", "haskell", "hs", "ada", "elm"],
        comments: &["--"],
        block: None,
        quotes: &['"', '\''],
        keywords: &[
            "AND", "AS", "BY", "CREATE", "DELETE", "DISTINCT", "DROP", "FROM", "GROUP", "HAVING",
            "IN", "INSERT", "INTO", "JOIN", "LEFT", "LIMIT", "NOT", "NULL", "ON", "OR", "ORDER",
            "SELECT", "SET", "TABLE", "UPDATE", "VALUES", "WHERE", "and", "as", "by", "case",
            "class", "create", "data", "delete", "do", "else", "elseif", "end", "for", "from",
            "function", "group", "if", "import", "in", "insert", "instance", "into", "join", "let",
            "local", "module", "nil", "not", "null", "of", "on", "or", "order", "return", "select",
            "set", "table", "then", "type", "update", "values", "where", "while",
        ],
    },
    Language {
        names: &["html", "xml", "svg", "markdown", "md"],
        comments: &[],
        block: Some(("<!--", "-->")),
        quotes: &['"'],
        keywords: &[],
    },
    Language {
        names: &["text", "txt", "plain", "output"],
        comments: &[],
        block: None,
        quotes: &[],
        keywords: &[],
    },
];

/// Everything else looks like C.
const OTHER: Language = Language {
    names: &[],
    comments: &["//"],
    block: Some(("/*", "*/")),
    quotes: &['"', '\'', '`'],
    keywords: C_LIKE,
};

/// Colours code in a language. A word is held back until it ends.
pub struct Code {
    style: Style,
    language: &'static Language,
    state: State,
    /// A word, or what may become the beginning of a comment.
    held: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Plain,
    /// Within quotes; whether the next character is escaped.
    Text {
        quote: char,
        escaped: bool,
    },
    /// To the end of the line.
    Comment,
    /// To its end.
    Block,
}

impl Code {
    /// For a language by the name that follows a fence.
    pub fn new(style: Style, name: &str) -> Self {
        let name = name.trim().to_ascii_lowercase();
        let known = LANGUAGES.iter().find(|language| language.names.contains(&name.as_str()));
        Self { style, language: known.unwrap_or(&OTHER), state: State::Plain, held: String::new() }
    }

    /// Takes a character and writes what is certain.
    pub fn push(&mut self, c: char, out: &mut String) {
        match self.state {
            State::Plain => self.push_plain(c, out),
            State::Text { quote, escaped } => {
                out.push_str(&self.style.code_text(c.encode_utf8(&mut [0; 4])));
                if c == '\n' || c == quote && !escaped {
                    self.state = State::Plain;
                } else {
                    self.state = State::Text { quote, escaped: c == '\\' && !escaped };
                }
            }
            State::Comment => {
                out.push_str(&self.style.dim(c.encode_utf8(&mut [0; 4])));
                if c == '\n' {
                    self.state = State::Plain;
                }
            }
            State::Block => {
                out.push_str(&self.style.dim(c.encode_utf8(&mut [0; 4])));
                self.held.push(c);
                let end = self.language.block.map_or("", |(_, end)| end);
                if self.held.ends_with(end) {
                    self.held.clear();
                    self.state = State::Plain;
                } else if self.held.len() > 2 * end.len() {
                    self.held = self.held.split_off(self.held.len() - end.len());
                }
            }
        }
    }

    fn push_plain(&mut self, c: char, out: &mut String) {
        let is_word = c.is_alphanumeric() || c == '_';
        let holds_word = self.held.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if is_word && (holds_word || self.held.is_empty()) {
            self.held.push(c);
            return;
        }
        if holds_word || is_word {
            self.finish(out);
        }
        if is_word {
            self.held.push(c);
            return;
        }
        self.held.push(c);
        let starts = |mark: &str| self.held.ends_with(mark);
        if let Some(mark) = self.language.comments.iter().find(|mark| starts(mark)) {
            self.begin(State::Comment, mark.len(), out);
        } else if let Some((mark, _)) = self.language.block.filter(|(mark, _)| starts(mark)) {
            self.begin(State::Block, mark.len(), out);
        } else if self.language.quotes.contains(&c) {
            self.begin(State::Text { quote: c, escaped: false }, c.len_utf8(), out);
        } else if !self.may_begin_comment() {
            self.finish(out);
        }
    }

    /// Whether what is held could become the mark of a comment.
    fn may_begin_comment(&self) -> bool {
        let block = self.language.block.map(|(mark, _)| mark);
        let mut marks = self.language.comments.iter().copied().chain(block);
        marks.any(|mark| (1..mark.len()).any(|n| self.held.ends_with(&mark[..n])))
    }

    /// The last `n` bytes held begin something.
    fn begin(&mut self, state: State, n: usize, out: &mut String) {
        let mark = self.held.split_off(self.held.len() - n);
        self.finish(out);
        out.push_str(&match state {
            State::Text { .. } => self.style.code_text(&mark),
            _ => self.style.dim(&mark),
        });
        self.state = state;
    }

    /// Writes what is held.
    pub fn finish(&mut self, out: &mut String) {
        let held = std::mem::take(&mut self.held);
        if self.state == State::Block || held.is_empty() {
            return;
        }
        if self.language.keywords.contains(&held.as_str()) {
            out.push_str(&self.style.code_keyword(&held));
        } else if held.starts_with(|c: char| c.is_ascii_digit()) {
            out.push_str(&self.style.code_number(&held));
        } else {
            out.push_str(&held);
        }
    }
}

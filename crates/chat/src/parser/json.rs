/// How deep objects and lists may nest.
const DEPTH: usize = 64;

/// Follows a JSON object or list byte by byte, so that it can be passed on as it comes.
#[derive(Debug, Clone)]
pub(super) struct Json {
    /// The brackets that are open.
    open: Vec<u8>,
    next: Next,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A value, or the bracket that closes an empty list.
    Value {
        first: bool,
    },
    /// A key, or the bracket that closes an empty object.
    Key {
        first: bool,
    },
    Colon,
    /// A comma, or the open bracket's other half.
    Comma,
    /// More of a string; whether it is a key, and what a backslash still asks for.
    String {
        key: bool,
        escape: Escape,
    },
    /// The rest of `true`, `false` or `null`.
    Word(&'static [u8]),
    Number(Number),
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    /// After a backslash.
    Any,
    /// This many hexadecimal digits.
    Hex(u8),
}

/// What has been seen of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Sign,
    Zero,
    Digits,
    Point,
    Fraction,
    E,
    ESign,
    Exponent,
}

/// The text is no JSON from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Invalid;

impl Json {
    pub(super) fn new() -> Self {
        Self { open: Vec::new(), next: Next::Value { first: false } }
    }

    /// Whether the value is complete.
    pub(super) fn is_done(&self) -> bool {
        self.next == Next::Nothing
    }

    /// Takes what belongs to the value from the beginning of `text`, and appends it to `out`,
    /// control characters in strings escaped. Gives the number of bytes taken, and whether the
    /// text after them is no JSON.
    pub(super) fn take(&mut self, text: &str, out: &mut String) -> (usize, Result<(), Invalid>) {
        let mut copied = 0;
        let mut at = 0;
        let mut result = Ok(());
        while at < text.len() && !self.is_done() {
            let byte = text.as_bytes()[at];
            if matches!(self.next, Next::String { .. }) && byte < b' ' {
                out.push_str(&text[copied..at]);
                out.push_str(serde_json::Value::from(&text[at..=at]).to_string().trim_matches('"'));
                copied = at + 1;
            } else if !self.step(byte) {
                result = Err(Invalid);
                break;
            }
            at += 1;
        }
        out.push_str(&text[copied..at]);
        (at, result)
    }

    fn step(&mut self, byte: u8) -> bool {
        if matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
            && !matches!(self.next, Next::String { .. } | Next::Word(_) | Next::Number(_))
        {
            return true;
        }
        match self.next {
            Next::Value { first } => self.value(byte, first),
            Next::Key { first } => match byte {
                b'"' => self.to(Next::String { key: true, escape: Escape::None }),
                b'}' if first => self.close(byte),
                _ => false,
            },
            Next::Colon => byte == b':' && self.to(Next::Value { first: false }),
            Next::Comma => match (byte, self.open.last()) {
                (b',', Some(b'{')) => self.to(Next::Key { first: false }),
                (b',', Some(_)) => self.to(Next::Value { first: false }),
                _ => self.close(byte),
            },
            Next::String { key, escape } => self.string(byte, key, escape),
            Next::Word(rest) => match rest {
                [next, rest @ ..] if *next == byte => {
                    if rest.is_empty() {
                        self.after_value()
                    } else {
                        self.to(Next::Word(rest))
                    }
                }
                _ => false,
            },
            Next::Number(number) => self.number(byte, number),
            Next::Nothing => false,
        }
    }

    fn to(&mut self, next: Next) -> bool {
        self.next = next;
        true
    }

    fn after_value(&mut self) -> bool {
        self.to(if self.open.is_empty() { Next::Nothing } else { Next::Comma })
    }

    fn value(&mut self, byte: u8, first: bool) -> bool {
        match byte {
            b'{' | b'[' if self.open.len() < DEPTH => {
                self.open.push(byte);
                let is_object = byte == b'{';
                self.to(if is_object {
                    Next::Key { first: true }
                } else {
                    Next::Value { first: true }
                })
            }
            b']' if first => self.close(byte),
            // Only an object or a list tells where it ends.
            _ if self.open.is_empty() => false,
            b'"' => self.to(Next::String { key: false, escape: Escape::None }),
            b't' => self.to(Next::Word(b"rue")),
            b'f' => self.to(Next::Word(b"alse")),
            b'n' => self.to(Next::Word(b"ull")),
            b'-' => self.to(Next::Number(Number::Sign)),
            b'0' => self.to(Next::Number(Number::Zero)),
            b'1'..=b'9' => self.to(Next::Number(Number::Digits)),
            _ => false,
        }
    }

    fn close(&mut self, byte: u8) -> bool {
        let is_pair = matches!((self.open.last(), byte), (Some(b'{'), b'}') | (Some(b'['), b']'));
        is_pair && self.open.pop().is_some() && self.after_value()
    }

    fn string(&mut self, byte: u8, key: bool, escape: Escape) -> bool {
        let escape = match (escape, byte) {
            (Escape::None, b'\\') => Escape::Any,
            (Escape::None, b'"') => {
                return if key { self.to(Next::Colon) } else { self.after_value() };
            }
            (Escape::None, _)
            | (Escape::Any, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Escape::None,
            (Escape::Any, b'u') => Escape::Hex(4),
            (Escape::Hex(1), b) if b.is_ascii_hexdigit() => Escape::None,
            (Escape::Hex(n), b) if b.is_ascii_hexdigit() => Escape::Hex(n - 1),
            _ => return false,
        };
        self.to(Next::String { key, escape })
    }

    fn number(&mut self, byte: u8, number: Number) -> bool {
        use Number::{Digits, E, ESign, Exponent, Fraction, Point, Sign, Zero};
        let number = match (number, byte) {
            (Sign, b'0') => Zero,
            (Sign | Digits, b'0'..=b'9') => Digits,
            (Zero | Digits, b'.') => Point,
            (Point | Fraction, b'0'..=b'9') => Fraction,
            (Zero | Digits | Fraction, b'e' | b'E') => E,
            (E, b'+' | b'-') => ESign,
            (E | ESign | Exponent, b'0'..=b'9') => Exponent,
            (Zero | Digits | Fraction | Exponent, _) => {
                self.next = Next::Comma;
                return self.step(byte);
            }
            _ => return false,
        };
        self.to(Next::Number(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is taken, what is written, and whether the value is complete.
    fn take(text: &str) -> (usize, String, bool) {
        let (mut json, mut out) = (Json::new(), String::new());
        let (taken, _) = json.take(text, &mut out);
        (taken, out, json.is_done())
    }

    #[test]
    fn takes_one_value() {
        for value in [
            r#"{}"#,
            r#"[]"#,
            r#"{"a": [1, -2.5e+3, 0, true, false, null, "\u00e9\"\\", {"b": []}], "c":""}"#,
        ] {
            assert!(serde_json::from_str::<serde_json::Value>(value).is_ok());
            assert_eq!(take(&format!("{value}}} rest")), (value.len(), value.to_owned(), true));
        }
    }

    #[test]
    fn stops_where_the_text_is_no_json() {
        for (text, taken) in [
            ("x", 0),
            ("1", 0),
            ("{a", 1),
            ("{,", 1),
            (r#"{"a"}"#, 4),
            (r#"{"a":1,}"#, 7),
            ("[1,]", 3),
            ("[01]", 2),
            ("[1.]", 3),
            ("[nul]", 4),
            (r#"["\x"]"#, 3),
            (r#"["\u12g4"]"#, 6),
            ("{]", 1),
            ("[-]", 2),
        ] {
            let (at, _, done) = take(text);
            assert_eq!((at, done), (taken, false), "{text}");
        }
        let (taken, _, done) = take(&"[".repeat(1000));
        assert_eq!((taken, done), (DEPTH, false));
    }

    #[test]
    fn escapes_control_characters_in_strings() {
        assert_eq!(take("[\n\"a\nb\t\u{1}\"]").1, "[\n\"a\\nb\\t\\u0001\"]");
    }
}

//! The text of a GBNF grammar, as b11434 of llama.cpp reads it.

use std::collections::HashMap;

use super::ast::{Node, RuleId, Syntax, TokenRef, class};
use crate::Error;

/// Bytes of a grammar.
const MAX_BYTES: usize = 1 << 20;
/// Parentheses within parentheses.
const MAX_DEPTH: usize = 100;
/// Times that anything is repeated, and rules that repetitions make.
const MAX_REPEATS: u64 = 2000;

/// Reads a grammar.
pub(crate) fn parse(text: &str) -> Result<Syntax, Error> {
    if text.len() > MAX_BYTES {
        return Err(Error::Limit { what: "its length", size: text.len(), limit: MAX_BYTES });
    }
    let mut parser = Parser { text, at: 0, names: HashMap::new(), rules: Vec::new(), made: 0 };
    parser.skip_space(true);
    while !parser.rest().is_empty() {
        parser.rule()?;
    }
    parser.finish()
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    names: HashMap<&'t str, RuleId>,
    /// Names and, once they are defined, meanings.
    rules: Vec<(&'t str, Option<Node>)>,
    /// Rules that llama.cpp would make of groups and repetitions.
    made: u64,
}

impl<'t> Parser<'t> {
    fn finish(self) -> Result<Syntax, Error> {
        let Some(&root) = self.names.get("root") else {
            return Err(Error::UndefinedRule("root".into()));
        };
        let defined = |(name, node): (&str, Option<Node>)| {
            let node = node.ok_or_else(|| Error::UndefinedRule(name.to_owned()))?;
            Ok((name.to_owned(), node))
        };
        let rules = self.rules.into_iter().map(defined).collect::<Result<_, _>>()?;
        Ok(Syntax { rules, root })
    }

    fn rule(&mut self) -> Result<(), Error> {
        let name = self.name()?;
        let id = self.id(name);
        self.skip_space(false);
        if !self.take("::=") {
            return self.fail("expected ::= after the name of a rule");
        }
        self.skip_space(true);
        let node = self.choice(0)?;
        self.rules[id].1 = Some(node);
        if !(self.take("\r\n") || self.take("\r") || self.take("\n") || self.rest().is_empty()) {
            return self.fail("expected the end of the line");
        }
        self.skip_space(true);
        Ok(())
    }

    fn choice(&mut self, depth: usize) -> Result<Node, Error> {
        if depth > MAX_DEPTH {
            return Err(Error::Limit { what: "its depth", size: depth, limit: MAX_DEPTH });
        }
        let mut options = vec![self.sequence(depth)?];
        while self.take("|") {
            self.skip_space(true);
            options.push(self.sequence(depth)?);
        }
        Ok(one_or(options, Node::Choice))
    }

    fn sequence(&mut self, depth: usize) -> Result<Node, Error> {
        let nested = depth > 0;
        let mut items: Vec<Node> = Vec::new();
        // Rules that the last item takes; none where it can't be repeated.
        let mut weight = None;
        while let Some(first) = self.rest().chars().next() {
            match first {
                '"' => {
                    let text = self.literal()?;
                    weight = (!text.is_empty()).then_some(1);
                    items.extend(weight.map(|_| Node::Text(text)));
                }
                '[' => {
                    let class = self.class()?;
                    weight = class.is_some().then_some(1);
                    items.extend(class);
                }
                '.' => {
                    self.at += 1;
                    weight = Some(1);
                    items.push(Node::Class(class(&[(0, u32::MAX)], false)));
                }
                '<' | '!' => {
                    let negated = self.take("!");
                    items.push(Node::Token { token: self.token()?, negated });
                    weight = Some(1);
                }
                '(' => {
                    self.at += 1;
                    self.skip_space(true);
                    let before = self.symbols();
                    self.made += 1;
                    items.push(self.choice(depth + 1)?);
                    if !self.take(")") {
                        return self.fail("expected )");
                    }
                    weight = Some((self.symbols() - before).max(1));
                }
                c if is_word(c) => {
                    let name = self.name()?;
                    items.push(Node::Rule(self.id(name)));
                    weight = Some(1);
                }
                '*' | '+' | '?' | '{' => {
                    let (min, max) = self.repetition(nested)?;
                    let Some(rules) = weight else {
                        return self.fail("expected something to repeat before * + ? or {");
                    };
                    let total = match max {
                        Some(max) if max > 0 => max,
                        _ => min.max(1),
                    };
                    if rules * total > MAX_REPEATS {
                        let size = usize::try_from(rules * total).unwrap_or(usize::MAX);
                        let limit = MAX_REPEATS as usize;
                        return Err(Error::Limit {
                            what: "the rules of a repetition",
                            size,
                            limit,
                        });
                    }
                    self.made += max.map_or(1, |max| max.saturating_sub(min));
                    weight = Some(rules * total);
                    let node = Box::new(items.pop().unwrap_or_else(Node::empty));
                    let (min, max) = (min as u32, max.map(|max| max as u32));
                    items.push(match max {
                        Some(0) => Node::empty(),
                        _ => Node::Repeat { node, min, max },
                    });
                }
                _ => break,
            }
            self.skip_space(nested);
        }
        Ok(one_or(items, Node::Sequence))
    }

    fn literal(&mut self) -> Result<String, Error> {
        self.at += 1;
        let mut text = String::new();
        while !self.take("\"") {
            let code = self.code_point()?;
            // Code points that are no characters are never generated.
            let Some(c) = char::from_u32(code) else {
                return self.fail(format!("U+{code:X} is no character"));
            };
            text.push(c);
        }
        Ok(text)
    }

    /// `None` for empty brackets.
    fn class(&mut self) -> Result<Option<Node>, Error> {
        self.at += 1;
        let negated = self.take("^");
        let mut ranges = Vec::new();
        while !self.take("]") {
            let low = self.code_point()?;
            let high = match self.rest().as_bytes() {
                [b'-', b']', ..] => low,
                [b'-', ..] => {
                    self.at += 1;
                    self.code_point()?
                }
                _ => low,
            };
            ranges.push((low, high));
        }
        Ok((!ranges.is_empty()).then(|| Node::Class(class(&ranges, negated))))
    }

    fn code_point(&mut self) -> Result<u32, Error> {
        let mut chars = self.rest().chars();
        let Some(first) = chars.next() else { return self.fail("unexpected end of the grammar") };
        self.at += first.len_utf8();
        if first != '\\' {
            return Ok(first.into());
        }
        let escaped = chars.next();
        self.at += escaped.map_or(0, char::len_utf8);
        match escaped {
            Some('x') => self.hex(2),
            Some('u') => self.hex(4),
            Some('U') => self.hex(8),
            Some('t') => Ok(9),
            Some('n') => Ok(10),
            Some('r') => Ok(13),
            Some(c @ ('\\' | '"' | '[' | ']' | '-')) => Ok(c.into()),
            _ => self.fail(
                "unknown escape: expected one of \\x \\u \\U \\t \\n \\r \\\\ \\\" \\[ \\] \\-",
            ),
        }
    }

    fn hex(&mut self, digits: usize) -> Result<u32, Error> {
        let hex = self.rest().get(..digits).filter(|s| s.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(value) = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()) else {
            return self.fail(format!("expected {digits} hexadecimal digits"));
        };
        self.at += digits;
        Ok(value)
    }

    fn token(&mut self) -> Result<TokenRef, Error> {
        let start = self.at;
        if !self.take("<") {
            return self.fail("expected < and a token after !");
        }
        if self.take("[") {
            let id = self.number()?;
            if !self.take("]>") {
                return self.fail("expected ]> after the id of a token");
            }
            return match u32::try_from(id) {
                Ok(id) => Ok(TokenRef::Id(id)),
                Err(_) => self.fail(format!("{id} is no id of a token")),
            };
        }
        let Some(end) = self.rest().find('>') else {
            return self.fail("expected > after the text of a token");
        };
        self.at += end + 1;
        Ok(TokenRef::Text(self.text[start..self.at].to_owned()))
    }

    /// The least and the greatest number of times.
    fn repetition(&mut self, nested: bool) -> Result<(u64, Option<u64>), Error> {
        for (sign, times) in [("*", (0, None)), ("+", (1, None)), ("?", (0, Some(1)))] {
            if self.take(sign) {
                return Ok(times);
            }
        }
        self.at += 1;
        self.skip_space(nested);
        let min = self.number()?;
        self.skip_space(nested);
        let mut max = Some(min);
        if self.take(",") {
            self.skip_space(nested);
            max = None;
            if self.rest().starts_with(|c: char| c.is_ascii_digit()) {
                max = Some(self.number()?);
                self.skip_space(nested);
            }
        }
        if !self.take("}") {
            return self.fail("expected } after the number of repetitions");
        }
        if max.is_some_and(|max| max < min) {
            return self.fail("the least number of repetitions is above the greatest");
        }
        if min > MAX_REPEATS {
            let size = usize::try_from(min).unwrap_or(usize::MAX);
            return Err(Error::Limit { what: "a repetition", size, limit: MAX_REPEATS as usize });
        }
        // As in llama.cpp, so many are as good as no limit.
        Ok((min, max.filter(|max| *max <= MAX_REPEATS)))
    }

    fn number(&mut self) -> Result<u64, Error> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let number = self.rest()[..digits].parse();
        match number {
            Ok(number) => {
                self.at += digits;
                Ok(number)
            }
            Err(_) => self.fail("expected a whole number"),
        }
    }

    fn name(&mut self) -> Result<&'t str, Error> {
        let rest = self.rest();
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if length == 0 {
            return self.fail("expected the name of a rule, of letters, digits and dashes");
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn id(&mut self, name: &'t str) -> RuleId {
        *self.names.entry(name).or_insert_with(|| {
            self.rules.push((name, None));
            self.rules.len() - 1
        })
    }

    /// Rules that llama.cpp would know of by now.
    fn symbols(&self) -> u64 {
        self.rules.len() as u64 + self.made
    }

    /// Skips spaces and comments, and ends of lines if `lines`.
    fn skip_space(&mut self, lines: bool) {
        loop {
            let rest = self.rest();
            match rest.bytes().next() {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\r' | b'\n') if lines => self.at += 1,
                Some(b'#') => self.at += rest.find(['\r', '\n']).unwrap_or(rest.len()),
                _ => return,
            }
        }
    }

    fn take(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        self.at += if found { expected.len() } else { 0 };
        found
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, Error> {
        let line = self.text[..self.at].bytes().filter(|b| *b == b'\n').count() + 1;
        Err(Error::Gbnf { line, message: message.into() })
    }
}

fn one_or(mut nodes: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    match nodes.len() {
        0 => Node::empty(),
        1 => nodes.pop().unwrap_or_else(Node::empty),
        _ => many(nodes),
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> Node {
        let syntax = parse(text).expect("a well-formed grammar");
        syntax.rules[syntax.root].1.clone()
    }

    fn refused(text: &str) -> String {
        parse(text).map(|_| ()).expect_err("a refusal").to_string()
    }

    #[test]
    fn literals_and_classes_with_escapes() {
        let text = |s: &str| Node::Text(s.into());
        assert_eq!(root(r#"root ::= "a\"\\\n\x41\u00e9\U0001F600é""#), text("a\"\\\nAé😀é"));
        assert_eq!(
            root(r"root ::= [a-c\]\-x-]"),
            Node::Class(class(&[(97, 99), (93, 93), (45, 45), (120, 120)], false))
        );
        assert_eq!(root(r"root ::= [^\n]"), Node::Class(class(&[(10, 10)], true)));
        assert_eq!(root("root ::= []"), Node::empty());
    }

    #[test]
    fn repetitions_bind_to_the_last_item() {
        let x = || Box::new(Node::Text("x".into()));
        for (sign, min, max) in [
            ("*", 0, None),
            ("+", 1, None),
            ("?", 0, Some(1)),
            ("{3}", 3, Some(3)),
            ("{3,}", 3, None),
            ("{ 2 , 4 }", 2, Some(4)),
            ("{0,99999}", 0, None),
        ] {
            let expected = Node::Repeat { node: x(), min, max };
            assert_eq!(root(&format!("root ::= \"x\"{sign}")), expected, "{sign}");
        }
    }

    #[test]
    fn rules_go_over_lines_in_parentheses_and_after_bars() {
        let got = root(
            "# c\nroot ::= ( # c\n a\n b ) |\n c # c\r\na ::= \"a\"\nb ::= \"b\"\n\nc ::= \"c\"",
        );
        assert_eq!(
            got,
            Node::Choice(vec![Node::Sequence(vec![Node::Rule(1), Node::Rule(2)]), Node::Rule(3)])
        );
    }

    #[test]
    fn tokens_by_id_and_text() {
        let token = |token, negated| Node::Token { token, negated };
        let think = TokenRef::Text("<think>".into());
        let expected = vec![token(TokenRef::Id(12), false), token(think, true)];
        assert_eq!(root("root ::= <[12]> !<think>"), Node::Sequence(expected));
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        assert_eq!(refused("root ::= a"), "grammar: the rule \"a\" is not defined");
        assert_eq!(refused("a ::= \"x\""), "grammar: the rule \"root\" is not defined");
        for (text, message) in [
            ("\nroot ::= \"x", "line 2: unexpected end"),
            ("root = \"x\"", "expected ::="),
            ("root ::= [a", "unexpected end"),
            ("root ::= \"\\q\"", "unknown escape"),
            ("root ::= \"\\x4\"", "expected 2 hexadecimal digits"),
            ("root ::= \"\\uD800\"", "no character"),
            ("root ::= * \"x\"", "expected something to repeat"),
            ("root ::= \"\"*", "expected something to repeat"),
            ("root ::= (\"x\"", "expected )"),
            ("root ::= \"x\"{2,1}", "above the greatest"),
            ("root ::= \"x\"{2001}", "a repetition is 2001"),
            ("root ::= (\"x\"{0,100}){0,100}", "the rules of a repetition"),
            ("root ::= \"x\"{a}", "expected a whole number"),
            ("root ::= \"x\" ) ", "expected the end of the line"),
            ("root ::= a_b", "expected the end of the line"),
            ("root ::= <[99999999999]>", "no id of a token"),
            ("root ::= <[1>", "expected ]>"),
            ("root ::= <think", "expected >"),
        ] {
            assert!(refused(text).contains(message), "{text:?}: {}", refused(text));
        }
        let deep = format!("root ::= {}\"x\"{}", "(".repeat(500), ")".repeat(500));
        assert!(refused(&deep).contains("its depth"));
    }
}

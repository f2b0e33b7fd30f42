//! Parts of a grammar that do not recur: what they may begin with, and as regular expressions.

use llguidance::derivre::{ExprRef, RegexAst, RegexBuilder};

use super::ast::{Node, RuleId, Syntax};
use super::recursion::{is_nullable, nullable_rules, recursive_rules};
use crate::Error;

/// A set of bytes, one bit each.
pub(crate) type Bytes = [u32; 8];

/// What is known of each rule.
pub(crate) struct Rules<'s> {
    pub(crate) syntax: &'s Syntax,
    /// Whether the rule recurs, or holds tokens, which no expression can.
    irregular: Vec<bool>,
    nullable: Vec<bool>,
    first: Vec<Bytes>,
}

impl<'s> Rules<'s> {
    pub(crate) fn new(syntax: &'s Syntax) -> Self {
        let mut irregular = recursive_rules(syntax);
        let nullable = nullable_rules(syntax);
        // Whatever uses an irregular rule is irregular; so far only those that recur are known.
        loop {
            let is_new =
                |id: &usize| !irregular[*id] && !is_regular(&syntax.rules[*id].1, &irregular);
            let Some(found) = (0..irregular.len()).find(is_new) else { break };
            irregular[found] = true;
        }
        let mut rules = Self { syntax, irregular, nullable, first: Vec::new() };
        rules.first = vec![[0; 8]; syntax.rules.len()];
        loop {
            let next: Vec<Bytes> = syntax.rules.iter().map(|(_, n)| rules.first_of(n)).collect();
            if next == rules.first {
                return rules;
            }
            rules.first = next;
        }
    }

    pub(crate) fn is_regular(&self, node: &Node) -> bool {
        is_regular(node, &self.irregular)
    }

    pub(crate) fn is_nullable(&self, nodes: &[Node]) -> bool {
        nodes.iter().all(|node| is_nullable(node, &self.nullable))
    }

    /// The bytes that `nodes` in a row may begin with.
    pub(crate) fn first(&self, nodes: &[Node]) -> Bytes {
        let mut first = [0; 8];
        for node in nodes {
            add(&mut first, &self.first_of(node));
            if !is_nullable(node, &self.nullable) {
                break;
            }
        }
        first
    }

    fn first_of(&self, node: &Node) -> Bytes {
        let mut first = [0; 8];
        match node {
            Node::Text(text) => text.bytes().take(1).for_each(|b| insert(&mut first, b)),
            Node::Class(ranges) => {
                for &(low, high) in ranges {
                    // Encodings ascend with the characters.
                    let byte = |c: char| c.encode_utf8(&mut [0; 4]).as_bytes()[0];
                    (byte(low)..=byte(high)).for_each(|b| insert(&mut first, b));
                }
            }
            Node::Rule(rule) => first = self.first[*rule],
            // Any text may come of it.
            Node::Token { .. } => first = [u32::MAX; 8],
            Node::Sequence(nodes) => first = self.first(nodes),
            Node::Choice(nodes) => nodes.iter().for_each(|n| add(&mut first, &self.first_of(n))),
            Node::Repeat { node, .. } => first = self.first_of(node),
        }
        first
    }
}

fn is_regular(node: &Node, irregular: &[bool]) -> bool {
    match node {
        Node::Token { .. } => false,
        Node::Rule(rule) => !irregular[*rule],
        _ => node.children().iter().all(|node| is_regular(node, irregular)),
    }
}

pub(crate) fn insert(bytes: &mut Bytes, byte: u8) {
    bytes[usize::from(byte / 32)] |= 1 << (byte % 32);
}

pub(crate) fn add(bytes: &mut Bytes, more: &Bytes) {
    bytes.iter_mut().zip(more).for_each(|(a, b)| *a |= b);
}

pub(crate) fn intersect(a: &Bytes, b: &Bytes) -> bool {
    a.iter().zip(b).any(|(a, b)| a & b != 0)
}

/// Regular expressions of regular parts.
pub(crate) struct Expressions<'r> {
    rules: &'r Rules<'r>,
    builder: RegexBuilder,
    known: Vec<Option<ExprRef>>,
}

/// Work that one question may take; the sum over a grammar is limited too.
const FUEL: u64 = 20_000;

impl<'r> Expressions<'r> {
    pub(crate) fn new(rules: &'r Rules<'r>) -> Self {
        let known = vec![None; rules.syntax.rules.len()];
        Self { rules, builder: RegexBuilder::new(), known }
    }

    /// `nodes` in a row, without the empty text.
    pub(crate) fn nonempty(&mut self, nodes: &[Node]) -> Result<ExprRef, Error> {
        let asts = nodes.iter().map(|node| self.ast(node)).collect::<Result<_, _>>()?;
        let something = RegexAst::Not(Box::new(RegexAst::EmptyString));
        self.make(&RegexAst::And(vec![RegexAst::Concat(asts), something]))
    }

    /// Whether a text of `a` and a byte of `next` can begin a text of `b`; where it is too hard to
    /// tell, they can.
    pub(crate) fn may_go_on(&mut self, a: ExprRef, next: &Bytes, b: ExprRef) -> bool {
        let any = RegexAst::ByteSet(vec![u32::MAX; 8]);
        let longer = RegexAst::Concat(vec![
            RegexAst::ExprRef(a),
            RegexAst::ByteSet(next.to_vec()),
            RegexAst::Repeat(Box::new(any), 0, u32::MAX),
        ]);
        let both = self.make(&RegexAst::And(vec![longer, RegexAst::ExprRef(b)]));
        let regex = both.ok().and_then(|both| self.builder.to_regex_limited(both, FUEL).ok());
        regex.is_none_or(|mut regex| !regex.always_empty())
    }

    fn ast(&mut self, node: &Node) -> Result<RegexAst, Error> {
        let all = |this: &mut Self, nodes: &[Node]| {
            nodes.iter().map(|node| this.ast(node)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match node {
            Node::Text(text) => RegexAst::Literal(text.clone()),
            Node::Class(ranges) => RegexAst::Regex(class_pattern(ranges)),
            Node::Rule(rule) => RegexAst::ExprRef(self.rule(*rule)?),
            Node::Token { .. } => RegexAst::NoMatch,
            Node::Sequence(nodes) => RegexAst::Concat(all(self, nodes)?),
            Node::Choice(nodes) => RegexAst::Or(all(self, nodes)?),
            Node::Repeat { node, min, max } => {
                RegexAst::Repeat(Box::new(self.ast(node)?), *min, max.unwrap_or(u32::MAX))
            }
        })
    }

    fn rule(&mut self, rule: RuleId) -> Result<ExprRef, Error> {
        if let Some(known) = self.known[rule] {
            return Ok(known);
        }
        let rules = self.rules;
        let ast = self.ast(&rules.syntax.rules[rule].1)?;
        let made = self.make(&ast)?;
        self.known[rule] = Some(made);
        Ok(made)
    }

    fn make(&mut self, ast: &RegexAst) -> Result<ExprRef, Error> {
        self.builder.mk(ast).map_err(|error| Error::Compile(error.to_string()))
    }
}

/// The pattern of one character of `ranges`, in characters that need no escape anywhere.
pub(crate) fn class_pattern(ranges: &[(char, char)]) -> String {
    if ranges.is_empty() {
        // No character is both.
        return r"[a&&b]".into();
    }
    let hex = |c: char| format!(r"\x{{{:X}}}", u32::from(c));
    let parts = ranges.iter().map(|&(low, high)| match low == high {
        true => hex(low),
        false => format!("{}-{}", hex(low), hex(high)),
    });
    format!("[{}]", parts.collect::<String>())
}

//! A grammar over lexemes.

use std::collections::{HashMap, HashSet};

use super::ast::{Node, RuleId, TokenRef};
use super::regular::Rules;

/// Rules over lexemes; the first rule is the whole text's.
pub(crate) struct Plan<'s> {
    pub(crate) rules: Vec<Body>,
    pub(crate) lexemes: Vec<Lexeme<'s>>,
    pub(crate) grammar: &'s Rules<'s>,
}

/// What a rule says.
pub(crate) enum Body {
    /// One of these rows.
    Options(Vec<Vec<Symbol>>),
    /// A row, again and again.
    Repeat { row: Vec<Symbol>, min: u32, max: Option<u32> },
}

/// Part of a row.
#[derive(Clone, Copy)]
pub(crate) enum Symbol {
    /// A lexeme, or nothing if `optional`.
    Lexeme { lexeme: usize, optional: bool },
    /// What a rule of the plan says.
    Rule(usize),
    /// A token, or any but it.
    Token { id: u32, negated: bool },
}

/// A piece of text that the lexer takes at once, never an empty one.
#[derive(Clone, Copy)]
pub(crate) enum Lexeme<'s> {
    /// One character.
    Char(char),
    /// Regular parts in a row.
    Run(&'s [Node]),
}

impl Lexeme<'_> {
    /// Whether it can't be broken up.
    pub(crate) fn is_one_char(self) -> bool {
        matches!(self, Self::Char(_) | Self::Run([Node::Class(_)]))
    }
}

/// Runs by their place in memory: equal texts in different places may fare differently.
pub(crate) type Key = (*const Node, usize);

pub(crate) fn key(run: &[Node]) -> Key {
    (run.as_ptr(), run.len())
}

/// Plans a grammar with lexemes as long as can be, but those in `broken` broken up.
pub(crate) fn plan<'s>(grammar: &'s Rules<'s>, broken: &HashSet<Key>, all: bool) -> Plan<'s> {
    let plan = Plan { rules: Vec::new(), lexemes: Vec::new(), grammar };
    let mut planner = Planner {
        plan,
        broken,
        all,
        known: HashMap::new(),
        runs: HashMap::new(),
        open: Vec::new(),
    };
    planner.rule_of(grammar.syntax.root);
    while let Some((id, rule)) = planner.open.pop() {
        let rows = planner.rows(&grammar.syntax.rules[rule].1);
        planner.plan.rules[id] = Body::Options(rows);
    }
    planner.plan
}

struct Planner<'s, 'b> {
    plan: Plan<'s>,
    broken: &'b HashSet<Key>,
    /// Break up everything.
    all: bool,
    known: HashMap<RuleId, usize>,
    runs: HashMap<Key, usize>,
    /// Rules of the grammar that are still to be planned.
    open: Vec<(usize, RuleId)>,
}

impl<'s> Planner<'s, '_> {
    fn rule_of(&mut self, rule: RuleId) -> Symbol {
        if let Some(&known) = self.known.get(&rule) {
            return Symbol::Rule(known);
        }
        let id = self.add_rule(Body::Options(Vec::new()));
        self.known.insert(rule, id);
        self.open.push((id, rule));
        Symbol::Rule(id)
    }

    fn add_rule(&mut self, body: Body) -> usize {
        self.plan.rules.push(body);
        self.plan.rules.len() - 1
    }

    /// The options of a rule.
    fn rows(&mut self, node: &'s Node) -> Vec<Vec<Symbol>> {
        match node {
            Node::Choice(nodes) if !self.is_lexeme(std::slice::from_ref(node)) => {
                nodes.iter().map(|node| self.row(std::slice::from_ref(node))).collect()
            }
            _ => vec![self.row(std::slice::from_ref(node))],
        }
    }

    fn row(&mut self, nodes: &'s [Node]) -> Vec<Symbol> {
        let grammar = self.plan.grammar;
        let mut row = Vec::new();
        let mut rest = nodes;
        while let Some(first) = rest.first() {
            let run = rest.iter().take_while(|node| grammar.is_regular(node)).count();
            let (run, after) = rest.split_at(run.max(1));
            rest = after;
            if self.is_lexeme(run) {
                row.extend(self.lexeme(run));
            } else if run.len() > 1 {
                // Broken up: each of them may still be one.
                run.iter().for_each(|node| row.extend(self.row(std::slice::from_ref(node))));
            } else {
                row.extend(self.parts(first));
            }
        }
        row
    }

    fn is_lexeme(&self, run: &[Node]) -> bool {
        let regular = run.iter().all(|node| self.plan.grammar.is_regular(node));
        let one = Lexeme::Run(run).is_one_char();
        regular && (one || !self.all && !self.broken.contains(&key(run)))
    }

    fn lexeme(&mut self, run: &'s [Node]) -> Option<Symbol> {
        let optional = self.plan.grammar.is_nullable(run);
        if optional && self.plan.grammar.first(run) == [0; 8] {
            // Nothing but the empty text.
            return None;
        }
        let lexemes = &mut self.plan.lexemes;
        let lexeme = *self.runs.entry(key(run)).or_insert_with(|| {
            lexemes.push(Lexeme::Run(run));
            lexemes.len() - 1
        });
        Some(Symbol::Lexeme { lexeme, optional })
    }

    /// A part that is no lexeme.
    fn parts(&mut self, node: &'s Node) -> Vec<Symbol> {
        match node {
            Node::Text(text) => text.chars().map(|c| self.char(c)).collect(),
            Node::Class(_) => Vec::new(),
            Node::Rule(rule) => vec![self.rule_of(*rule)],
            Node::Token { token, negated } => match token {
                TokenRef::Id(id) => vec![Symbol::Token { id: *id, negated: *negated }],
                TokenRef::Text(_) => Vec::new(),
            },
            Node::Sequence(nodes) => self.row(nodes),
            Node::Choice(_) => {
                let rows = self.rows(node);
                vec![Symbol::Rule(self.add_rule(Body::Options(rows)))]
            }
            Node::Repeat { node, min, max } => {
                let row = self.row(std::slice::from_ref(&**node));
                vec![Symbol::Rule(self.add_rule(Body::Repeat { row, min: *min, max: *max }))]
            }
        }
    }

    fn char(&mut self, c: char) -> Symbol {
        let found = self.plan.lexemes.iter().position(|l| matches!(l, Lexeme::Char(d) if *d == c));
        let lexeme = found.unwrap_or_else(|| {
            self.plan.lexemes.push(Lexeme::Char(c));
            self.plan.lexemes.len() - 1
        });
        Symbol::Lexeme { lexeme, optional: false }
    }
}

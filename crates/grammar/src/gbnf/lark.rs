//! A plan written in Lark.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::ast::{Node, RuleId};
use super::plan::{Body, Lexeme, Plan, Symbol};
use super::regular::class_pattern;

/// The plan in Lark: rules `r0`, `r1`…, lexemes `L0`, `L1`…, and `N0`, `N1`… for rules of the
/// grammar that lexemes are made of.
pub(crate) fn write(plan: &Plan) -> String {
    let mut text = String::from("start: r0\n");
    for (id, body) in plan.rules.iter().enumerate() {
        let _ = match body {
            Body::Options(rows) => {
                let rows: Vec<String> = rows.iter().map(|row| row_text(row)).collect();
                writeln!(text, "r{id}: {}", rows.join(" | "))
            }
            Body::Repeat { row, min, max } => {
                writeln!(text, "r{id}: ({}){}", row_text(row), times(*min, *max))
            }
        };
    }
    let mut used = BTreeSet::new();
    for (id, lexeme) in plan.lexemes.iter().enumerate() {
        let _ = match lexeme {
            Lexeme::Char(c) => writeln!(text, "L{id}: /{}/", class_pattern(&[(*c, *c)])),
            Lexeme::Run(run) => {
                let nodes: Vec<String> =
                    run.iter().map(|node| node_text(node, &mut used)).collect();
                match plan.grammar.is_nullable(run) {
                    true => writeln!(text, "L{id}: ({}) & /(?s:.)+/", nodes.join(" ")),
                    false => writeln!(text, "L{id}: {}", nodes.join(" ")),
                }
            }
        };
    }
    let mut done = BTreeSet::new();
    while let Some(rule) = used.pop_first() {
        if done.insert(rule) {
            let mut more = BTreeSet::new();
            let node = node_text(&plan.grammar.syntax.rules[rule].1, &mut more);
            let _ = writeln!(text, "N{rule}: {node}");
            used.extend(more.difference(&done));
        }
    }
    text
}

fn row_text(row: &[Symbol]) -> String {
    if row.is_empty() {
        return "\"\"".into();
    }
    let symbol = |symbol: &Symbol| match symbol {
        Symbol::Lexeme { lexeme, optional: false } => format!("L{lexeme}"),
        Symbol::Lexeme { lexeme, optional: true } => format!("L{lexeme}?"),
        Symbol::Rule(rule) => format!("r{rule}"),
        Symbol::Token { id, negated: false } => format!("<[{id}]>"),
        Symbol::Token { id, negated: true } => format!("<[^{id}]>"),
    };
    row.iter().map(symbol).collect::<Vec<_>>().join(" ")
}

/// A regular part; the rules in it are added to `used`.
fn node_text(node: &Node, used: &mut BTreeSet<RuleId>) -> String {
    let mut all = |nodes: &[Node], between: &str| {
        let parts: Vec<String> = nodes.iter().map(|node| node_text(node, used)).collect();
        format!("({})", parts.join(between))
    };
    match node {
        Node::Text(text) if text.is_empty() => "\"\"".into(),
        Node::Text(text) => {
            let chars: String = text.chars().map(|c| class_pattern(&[(c, c)])).collect();
            format!("/{chars}/")
        }
        Node::Class(ranges) => format!("/{}/", class_pattern(ranges)),
        Node::Rule(rule) => {
            used.insert(*rule);
            format!("N{rule}")
        }
        // No regular part.
        Node::Token { .. } => "\"\"".into(),
        Node::Sequence(nodes) => all(nodes, " "),
        Node::Choice(nodes) => all(nodes, " | "),
        Node::Repeat { node, min, max } => {
            format!("({}){}", node_text(node, used), times(*min, *max))
        }
    }
}

fn times(min: u32, max: Option<u32>) -> String {
    match (min, max) {
        (0, None) => "*".into(),
        (1, None) => "+".into(),
        (0, Some(1)) => "?".into(),
        (min, None) => format!("{{{min},}}"),
        (min, Some(max)) => format!("{{{min},{max}}}"),
    }
}

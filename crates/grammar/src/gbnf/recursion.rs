//! Which rules of a grammar come back to themselves.

use super::ast::{Node, RuleId, Syntax};
use crate::Error;

/// For each rule, whether it contains itself, at once or through others.
pub(crate) fn recursive_rules(syntax: &Syntax) -> Vec<bool> {
    let edges: Vec<Vec<RuleId>> = syntax.rules.iter().map(|(_, node)| rules_in(node)).collect();
    let reachable = |start: RuleId| {
        let mut seen = vec![false; edges.len()];
        let mut open = edges[start].clone();
        while let Some(rule) = open.pop() {
            if !std::mem::replace(&mut seen[rule], true) {
                open.extend(&edges[rule]);
            }
        }
        seen[start]
    };
    (0..edges.len()).map(reachable).collect()
}

fn rules_in(node: &Node) -> Vec<RuleId> {
    let mut rules = Vec::new();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        if let Node::Rule(rule) = node {
            rules.push(*rule);
        }
        open.extend(node.children());
    }
    rules.sort_unstable();
    rules.dedup();
    rules
}

/// For each rule, whether it allows nothing.
pub(crate) fn nullable_rules(syntax: &Syntax) -> Vec<bool> {
    let mut nullable = vec![false; syntax.rules.len()];
    loop {
        let mut changed = false;
        for (id, (_, node)) in syntax.rules.iter().enumerate() {
            if !nullable[id] && is_nullable(node, &nullable) {
                nullable[id] = true;
                changed = true;
            }
        }
        if !changed {
            return nullable;
        }
    }
}

/// Whether `node` allows nothing.
pub(crate) fn is_nullable(node: &Node, rules: &[bool]) -> bool {
    match node {
        Node::Text(text) => text.is_empty(),
        Node::Class(_) | Node::Token { .. } => false,
        Node::Rule(rule) => rules[*rule],
        Node::Sequence(nodes) => nodes.iter().all(|node| is_nullable(node, rules)),
        Node::Choice(nodes) => nodes.iter().any(|node| is_nullable(node, rules)),
        Node::Repeat { node, min, .. } => *min == 0 || is_nullable(node, rules),
    }
}

/// Refuses rules that may begin with themselves, as llama.cpp does.
pub(crate) fn check_left_recursion(syntax: &Syntax) -> Result<(), Error> {
    let nullable = nullable_rules(syntax);
    let first = |(_, node): &(String, Node)| {
        let mut rules = Vec::new();
        first_rules(node, &nullable, &mut rules);
        rules
    };
    let edges: Vec<Vec<RuleId>> = syntax.rules.iter().map(first).collect();
    // Depth first; a rule that is still open when it is met again begins with itself.
    let mut state = vec![State::New; edges.len()];
    for start in 0..edges.len() {
        let mut path = vec![(start, 0)];
        while let Some((rule, next)) = path.pop() {
            if state[rule] == State::Done {
                continue;
            }
            state[rule] = State::Open;
            let Some(&child) = edges[rule].get(next) else {
                state[rule] = State::Done;
                continue;
            };
            path.push((rule, next + 1));
            match state[child] {
                State::Open => return Err(Error::LeftRecursion(syntax.rules[child].0.clone())),
                State::New => path.push((child, 0)),
                State::Done => {}
            }
        }
    }
    Ok(())
}

/// How deep rules and groups may be within each other, from rule to rule: what follows them down
/// must not run out of stack.
const MAX_DEPTH: usize = 200;

/// Refuses rules that lead too deep before they come back to one on the way.
pub(crate) fn check_depth(syntax: &Syntax) -> Result<(), Error> {
    let references: Vec<Vec<(RuleId, usize)>> =
        syntax.rules.iter().map(|(_, node)| depths(node)).collect();
    let mut seen = vec![false; references.len()];
    let mut open = vec![(syntax.root, 1)];
    while let Some((rule, depth)) = open.pop() {
        if depth > MAX_DEPTH {
            return Err(Error::Limit { what: "its depth", size: depth, limit: MAX_DEPTH });
        }
        // The first way to a rule is the one by which it is compiled.
        if !std::mem::replace(&mut seen[rule], true) {
            open.extend(references[rule].iter().rev().map(|(to, more)| (*to, depth + more)));
        }
    }
    Ok(())
}

/// The rules in `node` and how deep they are in it.
fn depths(node: &Node) -> Vec<(RuleId, usize)> {
    let mut rules = Vec::new();
    let mut open = vec![(node, 1)];
    while let Some((node, depth)) = open.pop() {
        if let Node::Rule(rule) = node {
            rules.push((*rule, depth));
        }
        open.extend(node.children().iter().rev().map(|child| (child, depth + 1)));
    }
    rules
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Open,
    Done,
}

/// Adds the rules that `node` may begin with.
fn first_rules(node: &Node, nullable: &[bool], rules: &mut Vec<RuleId>) {
    match node {
        Node::Rule(rule) => rules.push(*rule),
        Node::Sequence(nodes) => {
            for node in nodes {
                first_rules(node, nullable, rules);
                if !is_nullable(node, nullable) {
                    break;
                }
            }
        }
        Node::Choice(nodes) => nodes.iter().for_each(|n| first_rules(n, nullable, rules)),
        Node::Repeat { node, max, .. } if *max != Some(0) => first_rules(node, nullable, rules),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    #[test]
    fn left_recursion_is_refused() {
        for (text, rule) in [
            ("root ::= root \"x\" | \"y\"", Some("root")),
            ("root ::= a\na ::= \"\" b\nb ::= a \"x\" | \"y\"", Some("a")),
            ("root ::= e root | \"x\"\ne ::= \"e\"?", Some("root")),
            ("root ::= \"x\"\nother ::= other", Some("other")),
            ("root ::= \"x\" root | \"y\"", None),
            ("root ::= a a\na ::= b b\nb ::= \"x\"", None),
        ] {
            let got = check_left_recursion(&parse(text).expect("well-formed"));
            assert_eq!(got, rule.map_or(Ok(()), |r| Err(Error::LeftRecursion(r.into()))), "{text}");
        }
    }

    #[test]
    fn recursion_is_found_through_other_rules() {
        let syntax = parse("root ::= a\na ::= \"(\" b \")\" | c\nb ::= a\nc ::= \"x\"");
        assert_eq!(recursive_rules(&syntax.expect("well-formed")), [false, true, true, false]);
    }
}

//! Constraints of GBNF grammars against a plain reading of these grammars.

use std::collections::{BTreeSet, HashMap};

use super::ast::{Node, Syntax};
use super::parse::parse;
use crate::testing::{Dice, TOOL, end, takes, vocabulary, walk};
use crate::{Constraint, Error, Grammar, Vocabulary};

/// Grammars of all kinds: regular ones, recursive ones whose parts can be lexemes, and ones where
/// the longest lexeme would lead astray.
const GRAMMARS: &[&str] = &[
    r#"root ::= "yes" | "no" | "maybe"?"#,
    r#"root ::= [a-z]+ "end" | [0-9]{2,4}"#,
    r#"root ::= ("- " [^\n]{1,8} "\n")+"#,
    r#"root ::= [ぁ-ゟァ-ヿ一-龯]+ [。、]?"#,
    "root ::= value\nvalue ::= object | array | string | number | \"true\" ws | \"null\" ws\n\
     object ::= \"{\" ws (string \":\" ws value (\",\" ws string \":\" ws value)*)? \"}\" ws\n\
     array ::= \"[\" ws (value (\",\" ws value)*)? \"]\" ws\n\
     string ::= \"\\\"\" ([^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" [\"\\\\nt])* \"\\\"\" ws\n\
     number ::= \"-\"? (\"0\" | [1-9] [0-9]*) (\".\" [0-9]+)? ws\nws ::= | \" \" | \"\\n\" [ \\t]{0,3}",
    "root ::= (expr \"=\" term \"\\n\")+\nexpr ::= term ([-+*/] term)*\n\
     term ::= num | \"(\" expr \")\" | [a-z] [a-z0-9]*\nnum ::= [0-9]+",
    // A letter may be a name's or the keyword's: longest lexemes go wrong here.
    "root ::= item root | \"end\"\nitem ::= [a-z] | \"(\" root \")\"",
    "root ::= [a-z]+ tail\ntail ::= \"b\" \"(\" root \")\" | \"bc\"",
    "root ::= \"a\" root \"b\" | \"ab\" | \"\"",
    "root ::= x{2,5} \"!\"\nx ::= \"(\" x? \")\" | [ab]{1,2} | \"abb\"",
    "root ::= a root a | b\na ::= \"é\" | \"日\"\nb ::= [^é日] | .",
    // Optional parts at both ends, and repetitions of what may be empty.
    "root ::= (ws item ws)*\nitem ::= \"[\" root \"]\" | [a-c]*\nws ::= \" \"*",
];

fn constraint(text: &str, vocabulary: &Vocabulary) -> Result<Constraint, Error> {
    Constraint::new(&Grammar::gbnf(text)?, vocabulary)
}

#[test]
fn what_constraints_allow_is_what_grammars_say() {
    let vocabulary = vocabulary();
    let mut dice = Dice(7);
    let mut whole = 0;
    for text in GRAMMARS {
        let syntax = parse(text).expect("well-formed");
        let constraint = constraint(text, &vocabulary).expect("a simple grammar");
        for _ in 0..60 {
            if let Some(generated) = walk(&constraint, &mut dice, 60) {
                assert!(accepts(&syntax, &generated), "{text}\nallows {generated:?}");
                whole += 1;
            }
        }
    }
    assert!(whole > 300, "{whole}");
}

#[test]
fn what_grammars_say_is_allowed() {
    let vocabulary = vocabulary();
    let mut dice = Dice(11);
    for text in GRAMMARS {
        let syntax = parse(text).expect("well-formed");
        let constraint = constraint(text, &vocabulary).expect("a simple grammar");
        for _ in 0..60 {
            let mut generated = String::new();
            let root = &syntax.rules[syntax.root].1;
            if derive(&syntax, root, &mut dice, 0, &mut generated) {
                assert!(takes(&constraint, &generated), "{text}\nrefuses {generated:?}");
            }
            // The same with one character changed agrees, too.
            let mut other: Vec<char> = generated.chars().collect();
            if !other.is_empty() {
                let at = dice.below(other.len());
                other[at] = ['a', 'b', ')', '"', '0', ' '][dice.below(6)];
                let other: String = other.into_iter().collect();
                assert_eq!(
                    takes(&constraint, &other),
                    accepts(&syntax, &other),
                    "{text}\n{other:?}"
                );
            }
        }
    }
}

#[test]
fn constraints_of_one_grammar_are_independent_and_of_their_vocabulary() {
    let (vocabulary, other) = (vocabulary(), vocabulary());
    let grammar = Grammar::gbnf("root ::= \"ab\" | \"c\"").expect("well-formed");
    let mut first = Constraint::new(&grammar, &vocabulary).expect("a simple grammar");
    first.accept(u32::from(b'a')).expect("allowed");
    let mut again = Constraint::new(&grammar.clone(), &vocabulary).expect("a simple grammar");
    assert!(takes(&again, "c") && takes(&again, "ab") && !takes(&again, "b"));
    assert!(takes(&first, "b") && !takes(&first, "c"));
    assert!(!Constraint::new(&grammar, &other).expect("simple").vocabulary().is(&vocabulary));
    let lazy = grammar.lazy(&[]).expect("no triggers");
    let mut lazy = Constraint::new(&lazy, &vocabulary).expect("simple");
    assert!(!lazy.is_active() && lazy.allowed().expect("simple").is_none());
    assert!(again.allowed().expect("simple").is_some());
}

#[test]
fn tokens_are_told_apart_from_their_text() {
    let vocabulary = vocabulary();
    let tool = vocabulary.tokenizer().find(TOOL).expect("a token");
    let end = end(&vocabulary);
    let by_text = constraint("root ::= <|tool|> [a-z]+ !<|tool|>", &vocabulary).expect("valid");
    let by_id = constraint(&format!("root ::= <[{tool}]> [a-z]+ !<[{tool}]>"), &vocabulary);
    for mut constraint in [by_text, by_id.expect("valid")] {
        let allowed: Vec<u32> =
            constraint.allowed().expect("simple").expect("active").iter().collect();
        assert_eq!(allowed, [tool]);
        constraint.accept(tool).expect("allowed");
        constraint.accept(u32::from(b'x')).expect("allowed");
        let allowed = constraint.allowed().expect("simple").expect("active");
        assert!(!allowed.contains(tool) && allowed.contains(u32::from(b'9')));
        assert!(!allowed.contains(end));
        constraint.accept(u32::from(b'9')).expect("allowed");
        assert!(constraint.may_end() && constraint.is_complete());
        assert!(constraint.accept(u32::from(b'9')).is_err());
    }
    for unknown in ["root ::= <|nothing|>", "root ::= <[99999]>"] {
        let refused = constraint(unknown, &vocabulary).map(|_| ());
        assert!(matches!(refused, Err(Error::UnknownToken(_))), "{unknown}: {refused:?}");
    }
}

#[test]
fn a_literal_may_be_written_by_the_control_token_it_spells() {
    let vocabulary = vocabulary();
    let tool = vocabulary.tokenizer().find(TOOL).expect("a token");
    let constraint = constraint("root ::= \"a<|tool|>b\"", &vocabulary).expect("valid");
    assert!(takes(&constraint, "a<|tool|>b"));
    let mut constraint = constraint;
    for token in [u32::from(b'a'), tool, u32::from(b'b')] {
        assert!(constraint.allowed().expect("simple").expect("active").contains(token));
        constraint.accept(token).expect("allowed");
    }
    assert!(constraint.may_end());
}

/// Appends a random text of `node`; false where the grammar is too deep for it.
fn derive(syntax: &Syntax, node: &Node, dice: &mut Dice, depth: usize, out: &mut String) -> bool {
    if depth > 60 {
        return false;
    }
    match node {
        Node::Text(text) => out.push_str(text),
        Node::Class(ranges) => {
            let (low, high) = ranges[dice.below(ranges.len())];
            let any = u32::from(low) + dice.below((high as u32 - low as u32 + 1) as usize) as u32;
            out.push(char::from_u32(any).unwrap_or(low));
        }
        Node::Rule(rule) => return derive(syntax, &syntax.rules[*rule].1, dice, depth + 1, out),
        Node::Token { .. } => return false,
        Node::Sequence(nodes) => {
            return nodes.iter().all(|node| derive(syntax, node, dice, depth + 1, out));
        }
        Node::Choice(nodes) => {
            return derive(syntax, &nodes[dice.below(nodes.len())], dice, depth + 1, out);
        }
        Node::Repeat { node, min, max } => {
            let more = max.map_or(3, |max| (max - min).min(3));
            let times = *min as usize + dice.below(more as usize + 1);
            return (0..times).all(|_| derive(syntax, node, dice, depth + 1, out));
        }
    }
    true
}

/// Whether the grammar allows `text`, read plainly.
fn accepts(syntax: &Syntax, text: &str) -> bool {
    let mut reader = Reader { syntax, text, known: HashMap::new() };
    reader.ends(&syntax.rules[syntax.root].1, 0).contains(&text.len())
}

struct Reader<'a> {
    syntax: &'a Syntax,
    text: &'a str,
    known: HashMap<(usize, usize), BTreeSet<usize>>,
}

impl Reader<'_> {
    /// Where a text of `node` that begins at `at` may end.
    fn ends(&mut self, node: &Node, at: usize) -> BTreeSet<usize> {
        let rest = &self.text[at..];
        match node {
            Node::Text(text) if rest.starts_with(text.as_str()) => [at + text.len()].into(),
            Node::Class(ranges) => {
                let next = rest.chars().next();
                let found = next.filter(|c| ranges.iter().any(|(a, b)| (a..=b).contains(&c)));
                found.map(|c| at + c.len_utf8()).into_iter().collect()
            }
            Node::Rule(rule) => {
                if let Some(known) = self.known.get(&(*rule, at)) {
                    return known.clone();
                }
                let syntax = self.syntax;
                let ends = self.ends(&syntax.rules[*rule].1, at);
                self.known.insert((*rule, at), ends.clone());
                ends
            }
            Node::Sequence(nodes) => nodes.iter().fold([at].into(), |from: BTreeSet<_>, node| {
                from.into_iter().flat_map(|at| self.ends(node, at)).collect()
            }),
            Node::Choice(nodes) => nodes.iter().flat_map(|node| self.ends(node, at)).collect(),
            Node::Repeat { node, min, max } => {
                let mut from: BTreeSet<usize> = [at].into();
                let mut all = if *min == 0 { from.clone() } else { BTreeSet::new() };
                for time in 1..=max.unwrap_or(u32::MAX) {
                    let next: BTreeSet<usize> =
                        from.iter().flat_map(|at| self.ends(node, *at)).collect();
                    let grows = next.iter().any(|end| !all.contains(end));
                    if time >= *min {
                        all.extend(&next);
                    }
                    if next.is_empty() || (time > *min && !grows) {
                        break;
                    }
                    from = next;
                }
                all
            }
            Node::Text(_) | Node::Token { .. } => BTreeSet::new(),
        }
    }
}

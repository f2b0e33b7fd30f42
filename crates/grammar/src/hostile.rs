//! Grammars that ask for too much end in an error, or go on within bounds.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::testing::{Dice, vocabulary, walk};
use crate::{Constraint, Error, Grammar, Trigger, Vocabulary};

/// Far more than any of them takes, far less than to hang.
const LIMIT: Duration = Duration::from_secs(20);

fn follow(grammar: Result<Grammar, Error>, vocabulary: &Vocabulary) -> Result<(), Error> {
    let start = Instant::now();
    let followed = grammar.and_then(|grammar| {
        let mut constraint = Constraint::new(&grammar, vocabulary)?;
        for _ in 0..10 {
            let Some(allowed) = constraint.allowed()? else { break };
            let Some(token) = allowed.iter().next() else { break };
            constraint.accept(token)?;
        }
        Ok(())
    });
    assert!(start.elapsed() < LIMIT);
    followed
}

#[test]
fn gbnf() {
    let vocabulary = vocabulary();
    let follow = |text: &str| follow(Grammar::gbnf(text), &vocabulary);
    // Each rule is twice the one before.
    let double = |last: &str| {
        let rules = (0..64).map(|i| format!("r{i} ::= r{} r{}\n", i + 1, i + 1));
        format!("root ::= r0\n{}r64 ::= {last}", rules.collect::<String>())
    };
    let _ = follow(&double("\"x\""));
    let _ = follow(&double("\"x\" | \"\""));
    let _ = follow(&double("\"x\"?"));
    let _ = follow("root ::= (((\"a\"{0,40}){0,40})*)+ \"b\"");
    let _ = follow("root ::= \"a\"{2000} [b-z]{0,2000}");
    let _ = follow("root ::= a* a* a* a* a* a* root \"x\" | \"y\"\na ::= [a-c]+ [b-d]*");
    let chain = (0..5000).map(|i| format!("r{i} ::= \"x\" r{}\n", i + 1));
    let chain = format!("root ::= r0\n{}r5000 ::= \"\"", chain.collect::<String>());
    assert!(matches!(follow(&chain), Err(Error::Limit { .. })));
    let nested = format!("root ::= {}", "(\"a\" | ".repeat(20_000));
    assert!(matches!(follow(&nested), Err(Error::Limit { .. })));
    assert!(matches!(follow(&" ".repeat(2 << 20)), Err(Error::Limit { .. })));
    assert!(follow("root ::= []").is_ok());
    let _ = follow("root ::= [\\U00110000]");
}

#[test]
fn schemas() {
    let vocabulary = vocabulary();
    let follow = |schema: Value| follow(Grammar::json_schema(&schema), &vocabulary);
    let mut defs = json!({});
    for i in 0..40 {
        let next = json!({"$ref": format!("#/$defs/d{}", i + 1)});
        defs[format!("d{i}")] =
            json!({"allOf": [{"anyOf": [next, next]}, {"anyOf": [next, next]}]});
    }
    defs["d40"] = json!({"type": "string"});
    let _ = follow(json!({"$ref": "#/$defs/d0", "$defs": defs}));
    let _ = follow(json!({"type": "string", "minLength": 100_000}));
    let _ = follow(json!({"type": "array", "minItems": 100_000}));
    let _ = follow(json!({"type": "string", "pattern": "((a{1,1000}){1,1000}){1,1000}"}));
    let _ = follow(json!({"type": "string", "pattern": "(a?){500}a{500}"}));
    let _ = follow(json!({"type": "integer", "multipleOf": 1e-300}));
    let _ = follow(json!({"type": "number", "minimum": 1e300, "maximum": 1e301}));
    let _ = follow(json!({"type": "integer", "minimum": -1e30, "maximum": 1e30}));
    for unsatisfiable in [
        json!(false),
        json!({"type": "integer", "minimum": 3, "maximum": 2}),
        json!({"allOf": [{"type": "string"}, {"type": "null"}]}),
        json!({"$ref": "#/nowhere"}),
        json!({"$ref": "https://example.org/schema"}),
        json!({"type": "string", "pattern": "("}),
        json!({"type": "string", "format": "unheard-of"}),
    ] {
        assert!(follow(unsatisfiable.clone()).is_err(), "{unsatisfiable}");
    }
    let recursive = json!({"$ref": "#"});
    let _ = follow(recursive);
}

#[test]
fn regular_expressions_and_lark() {
    let vocabulary = vocabulary();
    for pattern in ["(", "(a{1,1000}){1,1000}", r"\p{Unheard}", "a**", "(?=a)b", r"[z-a]", ""] {
        let _ = follow(Ok(Grammar::regex(pattern)), &vocabulary);
    }
    for text in ["", "start: start", "start: a", "start: \"x\"~1..100000", "%%%", "start: /(/"] {
        let _ = follow(Ok(Grammar::lark(text)), &vocabulary);
    }
}

#[test]
fn lazy_grammars_begin_with_their_trigger() {
    let vocabulary = vocabulary();
    let grammar = Grammar::gbnf("root ::= \"call(\" [0-9]+ \")\"").expect("well-formed");
    let lazy = grammar.clone().lazy(&[Trigger::Word("call(".into())]).expect("a word");
    let mut constraint = Constraint::new(&lazy, &vocabulary).expect("simple");
    let accept = |constraint: &mut Constraint, text: &str| {
        text.bytes().try_for_each(|byte| constraint.accept(u32::from(byte)))
    };
    accept(&mut constraint, "é any text ").expect("anything goes");
    assert!(constraint.may_end() && constraint.allowed().expect("simple").is_none());
    accept(&mut constraint, "call(").expect("the trigger");
    assert!(constraint.is_active() && !constraint.may_end());
    assert!(accept(&mut constraint.clone(), "x").is_err());
    accept(&mut constraint, "12)").expect("allowed");
    assert!(constraint.is_complete());

    // The trigger begins in the middle of a token.
    let group = Trigger::Pattern("xx?(call)".into());
    let lazy = grammar.clone().lazy(&[group]).expect("a pattern");
    let mut constraint = Constraint::new(&lazy, &vocabulary).expect("simple");
    accept(&mut constraint, "xcall(7)").expect("allowed");
    assert!(constraint.is_complete());

    let tool = vocabulary.tokenizer().find(crate::testing::TOOL).expect("a token");
    let grammar = Grammar::gbnf("root ::= \"<|tool|>\" [a-z]").expect("well-formed");
    let lazy = grammar.lazy(&[Trigger::Token(tool)]).expect("a token");
    let mut constraint = Constraint::new(&lazy, &vocabulary).expect("simple");
    accept(&mut constraint, "<|tool|>").expect("text is no token");
    assert!(!constraint.is_active());
    constraint.accept(tool).expect("the trigger");
    assert!(constraint.is_active());
    accept(&mut constraint, "q").expect("allowed");
    assert!(constraint.is_complete());
}

#[test]
fn other_notations_hold_text_too() {
    let vocabulary = vocabulary();
    let mut dice = Dice(3);
    let regex = Constraint::new(&Grammar::regex("[ab]{3}c?"), &vocabulary).expect("simple");
    let lark = Grammar::lark("start: \"x\" (\"(\" start \")\")?");
    let lark = Constraint::new(&lark, &vocabulary).expect("simple");
    let object = Constraint::new(&Grammar::json_object().expect("a schema"), &vocabulary);
    let object = object.expect("simple");
    for _ in 0..20 {
        let text = walk(&regex, &mut dice, 10).expect("an end");
        let rest = text.trim_end_matches('c');
        assert!(rest.len() == 3 && text.len() <= 4 && rest.bytes().all(|b| b"ab".contains(&b)));
        if let Some(text) = walk(&lark, &mut dice, 40) {
            assert!(
                text.starts_with('x') && text.matches('(').count() == text.matches(')').count()
            );
        }
        if let Some(text) = walk(&object, &mut dice, 60) {
            assert!(serde_json::from_str::<Value>(&text).is_ok_and(|v| v.is_object()), "{text}");
        }
    }
}

#[test]
fn forced_tokens_are_those_that_must_come() {
    let vocabulary = vocabulary();
    let grammar = Grammar::gbnf("root ::= \"fixed: \" [0-9] \" done\"").expect("well-formed");
    let mut constraint = Constraint::new(&grammar, &vocabulary).expect("simple");
    let mut text = Vec::new();
    for round in 0..2 {
        for token in constraint.forced() {
            constraint.accept(token).expect("a forced token");
            text.extend_from_slice(&vocabulary.tokenizer().token_bytes(token).expect("a token"));
        }
        if round == 0 {
            assert!(text.starts_with(b"fixed:"), "{text:?}");
            while text.len() < 7 {
                constraint.accept(u32::from(b' ')).expect("allowed");
                text.push(b' ');
            }
            constraint.accept(u32::from(b'4')).expect("allowed");
            text.push(b'4');
        }
    }
    assert!(text.starts_with(b"fixed: 4 don"), "{}", String::from_utf8_lossy(&text));
}

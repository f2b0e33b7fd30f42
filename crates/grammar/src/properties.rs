//! Random texts under many schemas, judged by another implementation of JSON Schema.

use jsonschema::Validator;
use serde_json::Value;

use crate::testing::{Dice, end, vocabulary};
use crate::{Constraint, Grammar};

/// One schema a line, all keywords among them.
const SCHEMAS: &str = include_str!("../tests/data/schemas.jsonl");

/// Texts of each schema.
const TEXTS: u64 = 8;

#[test]
fn random_texts_fit_their_schemas() {
    let vocabulary = vocabulary();
    let mut schemas = 0;
    let mut failures = Vec::new();
    for line in SCHEMAS.lines() {
        let schema: Value = serde_json::from_str(line).expect("JSON");
        let options = jsonschema::options().should_validate_formats(true);
        let validator = options.build(&schema).expect("a valid schema");
        let grammar = Grammar::json_schema(&schema).expect("a supported schema");
        let constraint = match Constraint::new(&grammar, &vocabulary) {
            Ok(constraint) => constraint,
            Err(error) => {
                failures.push(format!("{line}: {error}"));
                continue;
            }
        };
        let mut whole = 0;
        for seed in 0..TEXTS {
            match check(&constraint, &validator, seed) {
                Ok(ended) => whole += u64::from(ended),
                Err(error) => failures.push(format!("{line} allows {error}")),
            }
        }
        if whole == 0 {
            failures.push(format!("{line}: no text comes to an end"));
        }
        schemas += 1;
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(schemas >= 200);
}

/// Generates a text and has it judged; false where it comes to no end.
fn check(constraint: &Constraint, validator: &Validator, seed: u64) -> Result<bool, String> {
    let Some(text) = generate(constraint, &mut Dice(seed), 25) else { return Ok(false) };
    let value: Value = match serde_json::from_str(&text) {
        Ok(value) => value,
        // Numbers may be of any size; this one can't be judged.
        Err(error) if error.to_string().contains("out of range") => return Ok(false),
        Err(error) => return Err(format!("{text:?}: {error}")),
    };
    validator.validate(&value).map_err(|e| format!("{text:?}: {e}"))?;
    Ok(true)
}

/// A text of random tokens; after `free` of them those that close something are preferred.
fn generate(constraint: &Constraint, dice: &mut Dice, free: usize) -> Option<String> {
    let mut constraint = constraint.clone();
    let vocabulary = constraint.vocabulary().clone();
    let mut bytes = Vec::new();
    for step in 0..400 {
        if constraint.is_complete() || (constraint.may_end() && (step > free || dice.below(4) == 0))
        {
            return Some(String::from_utf8(bytes).expect("UTF-8"));
        }
        let allowed = constraint.allowed().expect("a simple schema").expect("an active grammar");
        let may = |byte: u8| Some(u32::from(byte)).filter(|token| allowed.contains(*token));
        // Some patterns come to an end by these letters only.
        let close = may(b'"').or_else(|| may(b"}]}]z@.com"[dice.below(10)]));
        let tokens: Vec<u32> = allowed.iter().filter(|t| *t != end(&vocabulary)).collect();
        let token = match close {
            Some(close) if step > free => close,
            _ => tokens[dice.below(tokens.len())],
        };
        constraint.accept(token).expect("an allowed token");
        bytes.extend_from_slice(&vocabulary.tokenizer().token_bytes(token).unwrap_or_default());
    }
    None
}

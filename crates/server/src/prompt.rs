//! Prompts as text, tokens, or both.

use serde_json::Value;
use tokenizer::Tokenizer;

use crate::error::ApiError;

/// Most prompts of one request.
const MOST: usize = 64;

/// One prompt: text, a list of tokens, or a list of both, as llama.cpp takes it.
///
/// # Errors
/// Anything else.
pub fn one(value: &Value, tokenizer: &Tokenizer) -> Result<Vec<u32>, ApiError> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Value::String(text) => Ok(tokenizer.encode(text, true, true)),
        Value::Array(parts) => {
            let mut tokens = Vec::new();
            for part in parts {
                match part {
                    Value::String(text) => {
                        tokens.extend(tokenizer.encode(text, tokens.is_empty(), true));
                    }
                    part => tokens.push(id(part).ok_or_else(refused)?),
                }
            }
            Ok(tokens)
        }
        Value::Object(map) => match map.get("prompt_string") {
            Some(text) => one(text, tokenizer),
            None => Err(refused()),
        },
        _ => Err(refused()),
    }
}

/// One prompt or a list of them. A list of tokens, alone or with text, is one.
///
/// # Errors
/// As [`one`], and too many.
pub fn several(value: &Value, tokenizer: &Tokenizer) -> Result<Vec<Vec<u32>>, ApiError> {
    let Value::Array(parts) = value else { return Ok(vec![one(value, tokenizer)?]) };
    if parts.is_empty() || parts.iter().any(Value::is_number) {
        return Ok(vec![one(value, tokenizer)?]);
    }
    if parts.len() > MOST {
        return Err(ApiError::invalid(format!("'prompt' takes up to {MOST} prompts"))
            .with("param", "prompt"));
    }
    parts.iter().map(|part| one(part, tokenizer)).collect()
}

fn refused() -> ApiError {
    ApiError::invalid("'prompt' must be text, a list of tokens, or a list of these")
        .with("param", "prompt")
}

//! How likely tokens were, as llama.cpp writes it.

use engine::Choice;
use sample::TokenProbability;
use serde_json::{Value, json};
use tokenizer::Tokenizer;

/// For probabilities of nothing: JSON has no infinity.
const LEAST: f32 = -9999.0;

/// `completion_probabilities`: of the model, as logarithms, or after the samplers.
pub fn of(tokenizer: &Tokenizer, tokens: &[Choice], after_samplers: bool) -> Vec<Value> {
    let one = |token: &TokenProbability| {
        let bytes = tokenizer.token_bytes(token.token).map(|bytes| bytes.into_owned());
        let bytes = bytes.unwrap_or_default();
        let mut value = json!({
            "id": token.token,
            "token": String::from_utf8_lossy(&bytes),
            "bytes": bytes,
        });
        match after_samplers {
            true => value["prob"] = token.probability.into(),
            false => value["logprob"] = token.log_probability.max(LEAST).into(),
        }
        value
    };
    let top = if after_samplers { "top_probs" } else { "top_logprobs" };
    let reported = tokens.iter().filter_map(|choice| choice.probabilities.as_ref());
    reported
        .map(|probabilities| {
            let mut value = one(&probabilities.chosen);
            value[top] = probabilities.top.iter().map(one).collect();
            value
        })
        .collect()
}

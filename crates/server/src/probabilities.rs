//! How likely tokens were, as OpenAI and llama.cpp write it.

use engine::Choice;
use sample::TokenProbability;
use serde_json::{Value, json};
use tokenizer::Tokenizer;

/// For probabilities of nothing: JSON has no infinity.
const LEAST: f32 = -9999.0;

/// The bytes of a token; none of unknown ones.
pub fn bytes_of(tokenizer: &Tokenizer, id: u32) -> Vec<u8> {
    tokenizer.token_bytes(id).map(|bytes| bytes.into_owned()).unwrap_or_default()
}

/// A logarithm that JSON can have.
pub fn finite(log_probability: f32) -> f32 {
    log_probability.max(LEAST)
}

/// `completion_probabilities`, and `logprobs.content` of chats, of the tokens that were asked about: of
/// the model, as logarithms, or after the samplers.
pub fn of(tokenizer: &Tokenizer, tokens: &[Choice], after_samplers: bool) -> Vec<Value> {
    let one = |token: &TokenProbability| {
        let bytes = bytes_of(tokenizer, token.token);
        let mut value = json!({
            "id": token.token,
            "token": String::from_utf8_lossy(&bytes),
            "bytes": bytes,
        });
        match after_samplers {
            true => value["prob"] = token.probability.into(),
            false => value["logprob"] = finite(token.log_probability).into(),
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

//! How likely tokens were, as OpenAI writes it.

use engine::Choice;
use serde_json::{Map, Value, json};
use tokenizer::Tokenizer;

/// For probabilities of nothing: JSON has no infinity.
const LEAST: f32 = -9999.0;

fn bytes_of(tokenizer: &Tokenizer, id: u32) -> Vec<u8> {
    tokenizer.token_bytes(id).map(|bytes| bytes.into_owned()).unwrap_or_default()
}

/// A token with its probability.
fn entry(tokenizer: &Tokenizer, id: u32, logprob: f32) -> Value {
    let bytes = bytes_of(tokenizer, id);
    json!({
        "id": id,
        "token": String::from_utf8_lossy(&bytes),
        "bytes": bytes,
        "logprob": logprob.max(LEAST),
    })
}

/// `logprobs.content` of chats: tokens whose probabilities were asked for.
pub fn content(tokenizer: &Tokenizer, tokens: &[Choice]) -> Vec<Value> {
    let reported =
        tokens.iter().filter_map(|choice| Some((choice.id, choice.probabilities.as_ref()?)));
    reported
        .map(|(id, probabilities)| {
            let mut value = entry(tokenizer, id, probabilities.chosen.log_probability);
            let top = probabilities.top.iter();
            let top = top.map(|other| entry(tokenizer, other.token, other.log_probability));
            value["top_logprobs"] = top.collect();
            value
        })
        .collect()
}

/// `logprobs` of completions; `offset` is where the first token's text begins, in characters.
pub fn legacy(tokenizer: &Tokenizer, tokens: &[Choice], mut offset: usize) -> Value {
    let text = |id| String::from_utf8_lossy(&bytes_of(tokenizer, id)).into_owned();
    let (mut texts, mut logprobs, mut tops, mut offsets) = (vec![], vec![], vec![], vec![]);
    for choice in tokens {
        let Some(probabilities) = &choice.probabilities else { continue };
        let top = probabilities.top.iter();
        let top: Map<String, Value> =
            top.map(|other| (text(other.token), other.log_probability.max(LEAST).into())).collect();
        let own = text(choice.id);
        offsets.push(offset);
        offset += own.chars().count();
        texts.push(own);
        logprobs.push(probabilities.chosen.log_probability.max(LEAST));
        tops.push(top);
    }
    json!({
        "tokens": texts,
        "token_logprobs": logprobs,
        "top_logprobs": tops,
        "text_offset": offsets,
    })
}

//! How likely tokens were, as OpenAI writes it for completions.

use engine::Choice;
use serde_json::{Map, Value, json};
use tokenizer::Tokenizer;

use crate::probabilities::{bytes_of, finite};

/// `logprobs` of completions; `offset` is where the first token's text begins, in characters.
pub fn legacy(tokenizer: &Tokenizer, tokens: &[Choice], mut offset: usize) -> Value {
    let text = |id| String::from_utf8_lossy(&bytes_of(tokenizer, id)).into_owned();
    let (mut texts, mut logprobs, mut tops, mut offsets) = (vec![], vec![], vec![], vec![]);
    for choice in tokens {
        let Some(probabilities) = &choice.probabilities else { continue };
        let top = probabilities.top.iter();
        let top: Map<String, Value> =
            top.map(|other| (text(other.token), finite(other.log_probability).into())).collect();
        let own = text(choice.id);
        offsets.push(offset);
        offset += own.chars().count();
        texts.push(own);
        logprobs.push(finite(probabilities.chosen.log_probability));
        tops.push(top);
    }
    json!({
        "tokens": texts,
        "token_logprobs": logprobs,
        "top_logprobs": tops,
        "text_offset": offsets,
    })
}

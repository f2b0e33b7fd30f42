//! BPE of `tokenizers`: over bytes, or over characters with tokens for bytes, which is what
//! SentencePiece does.

use std::collections::HashMap;

use super::tokenizer_json::{FILE, Merge, TokenizerJson, kind_with_bytes};
use super::{Kind, Token, Vocabulary, pre};
use crate::convert::Error;
use crate::convert::folder::Folder;

/// Makes a vocabulary of `size` tokens of it.
pub fn read(
    json: &TokenizerJson,
    folder: &Folder,
    size: usize,
    pre: Option<&str>,
) -> Result<Vocabulary, Error> {
    if let Some(kind) = json.model.kind.as_deref().filter(|&kind| kind != "BPE") {
        return Err(folder.wrong(FILE, format!("a model of type {kind}"), "BPE"));
    }
    match json.model.byte_fallback {
        Some(true) => with_scores(json, folder, size),
        _ => over_bytes(json, folder, size, pre),
    }
}

fn over_bytes(
    json: &TokenizerJson,
    folder: &Folder,
    size: usize,
    pre: Option<&str>,
) -> Result<Vocabulary, Error> {
    let tokens = json.tokens(folder, size, |text| Token::new(text, 0.0, Kind::Normal))?;
    let merges = json.model.merges.iter().map(spelt).collect();
    let pre = pre::name(json, folder, pre)?;
    Ok(Vocabulary { pre, merges, ..Vocabulary::new("gpt2", tokens) })
}

/// A pair in one text. A space within a token is spelt as in vocabularies over bytes.
fn spelt(merge: &Merge) -> String {
    match merge {
        Merge::Text(text) => text.clone(),
        Merge::Pair(pair) => pair.each_ref().map(|part| part.replace(' ', "\u{120}")).join(" "),
    }
}

/// Tokens with scores, by which SentencePiece makes the same of a text as the merges do: the sooner a
/// token is merged, the higher its score.
fn with_scores(json: &TokenizerJson, folder: &Folder, size: usize) -> Result<Vocabulary, Error> {
    let mut ranks = HashMap::new();
    for (rank, merge) in json.model.merges.iter().enumerate() {
        let text = match merge {
            Merge::Text(text) => text.replacen(' ', "", 1),
            Merge::Pair(pair) => pair.concat(),
        };
        ranks.entry(text).or_insert(rank);
    }
    let last = ranks.len();
    let tokens = json.tokens(folder, size, |text| {
        let rank = ranks.get(text).copied().unwrap_or(last);
        Token::new(text, -(rank as f32), kind_with_bytes(text))
    })?;
    let prefixed = has_space_prefix(&json.normalizer) || has_space_prefix(&json.pre_tokenizer);
    Ok(Vocabulary {
        has_scores: true,
        add_space_prefix: (!prefixed).then_some(false),
        ..Vocabulary::new("llama", tokens)
    })
}

/// Whether a normalizer or pre-tokenizer puts a space before the text.
fn has_space_prefix(part: &serde_json::Value) -> bool {
    match part["type"].as_str() {
        Some("Prepend") => true,
        Some("Metaspace") => part["prepend_scheme"] != "never" && part["add_prefix_space"] != false,
        Some("Sequence") => ["normalizers", "pretokenizers"]
            .iter()
            .filter_map(|key| part[key].as_array())
            .flatten()
            .any(|part| part["type"] != "Sequence" && has_space_prefix(part)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spaces_before_the_text_are_found() {
        let prepend = json!({"type": "Prepend", "prepend": "\u{2581}"});
        let replace = json!({"type": "Replace", "content": "\u{2581}"});
        assert!(has_space_prefix(&json!({"type": "Sequence", "normalizers": [prepend, replace]})));
        assert!(!has_space_prefix(&replace));
        assert!(!has_space_prefix(&json!({"type": "Metaspace", "prepend_scheme": "never"})));
    }
}

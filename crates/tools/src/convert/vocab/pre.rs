//! How a tokenizer cuts text into words, by the names that model files have for it.

use serde_json::Value;

use super::tokenizer_json::{FILE, TokenizerJson};
use crate::convert::Error;
use crate::convert::folder::Folder;

/// Stages of cutting, whether words that are tokens are taken whole where that matters, and the name.
const KNOWN: &[(&[&str], Option<bool>, &str)] = &[
    (&[LLAMA3], Some(true), "llama-bpe"),
    (&[LLAMA3], None, "dbrx"),
    (&[LLAMA3_POSSESSIVE], None, "dbrx"),
    (&[QWEN2], None, "qwen2"),
    (&[QWEN35], None, "qwen35"),
    (&[TEKKEN], None, "tekken"),
    (&[GPT4O], None, "gpt-4o"),
    (&[GPT2], None, "gpt-2"),
    (&[BYTES], None, "gpt-2"),
    (&[DIGITS, BYTES], None, "smollm"),
    (&[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", HAN_AND_HANGUL, DIGITS], None, "deepseek-coder"),
    (&[r"\p{N}{1,3}", HAN_AND_KANA, DEEPSEEK3], None, "deepseek-v3"),
];

/// The expression that is a part of a stage which makes characters of bytes.
const BYTES: &str = "ByteLevel";

/// Each digit is a word.
const DIGITS: &str = "Digits";

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

const LLAMA3: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

const LLAMA3_POSSESSIVE: &str = concat!(
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}|",
    r" ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
);

const QWEN2: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

const QWEN35: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|",
    r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

const TEKKEN: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|",
    r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

const GPT4O: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

const HAN_AND_HANGUL: &str = "[一-龥\u{800}-一가-\u{d7ff}]+";

const HAN_AND_KANA: &str = "[一-龥\u{3040}-ゟ゠-ヿ]+";

const DEEPSEEK3: &str = concat!(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"##,
    r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

/// The name of the pre-tokenizer, or the one that was given.
pub fn name(json: &TokenizerJson, folder: &Folder, given: Option<&str>) -> Result<String, Error> {
    if let Some(name) = given {
        let mut known = tokenizer::pre_tokenizers();
        return match known.clone().any(|known| known == name) {
            true => Ok(name.to_owned()),
            false => {
                let known: Vec<&str> = known.by_ref().collect();
                Err(Error::PreTokenizerName { name: name.to_owned(), known: known.join(", ") })
            }
        };
    }
    let mut stages = Vec::new();
    add_stages(&json.pre_tokenizer, &mut stages);
    let whole = json.model.ignore_merges.unwrap_or(false);
    let known = KNOWN.iter().find(|(known, ignore_merges, _)| {
        *known == stages && ignore_merges.is_none_or(|ignore| ignore == whole)
    });
    match known {
        Some((_, _, name)) => Ok((*name).to_owned()),
        None => {
            let quoted: Vec<String> = stages.iter().map(|stage| format!("`{stage}`")).collect();
            let found = if quoted.is_empty() { "without stages".into() } else { quoted.join(", ") };
            Err(Error::PreTokenizer { path: folder.path.join(FILE), found })
        }
    }
}

/// Adds the stages of a part: its expression, or the name of its kind.
fn add_stages(part: &Value, stages: &mut Vec<String>) {
    match part["type"].as_str() {
        Some("Sequence") => {
            let parts = part["pretokenizers"].as_array();
            let parts = parts.into_iter().flatten().filter(|part| part["type"] != "Sequence");
            parts.for_each(|part| add_stages(part, stages));
        }
        Some("Split") => {
            let pattern = &part["pattern"];
            let text = pattern["Regex"].as_str().or_else(|| pattern["String"].as_str());
            stages.push(text.unwrap_or_default().to_owned());
        }
        Some("ByteLevel") if part["use_regex"] == false => {}
        Some("Digits") if part["individual_digits"] != true => stages.push("Digits+".into()),
        Some(kind) => stages.push(kind.to_owned()),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stages_have_names_that_are_known() {
        for (_, _, name) in KNOWN {
            assert!(tokenizer::pre_tokenizers().any(|known| known == *name), "{name}");
        }
        let split = json!({"type": "Split", "pattern": {"Regex": QWEN2}});
        let bytes = json!({"type": "ByteLevel", "use_regex": false});
        let mut stages = Vec::new();
        add_stages(&json!({"type": "Sequence", "pretokenizers": [split, bytes]}), &mut stages);
        assert_eq!(stages, [QWEN2]);
    }
}

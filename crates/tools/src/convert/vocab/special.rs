//! Tokens of a meaning of their own: which they are, and which are added around texts.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Token;
use super::tokenizer_json::TokenizerJson;
use crate::convert::Error;
use crate::convert::config::Config;
use crate::convert::folder::Folder;
use crate::convert::pairs::Pairs;

/// Meanings in files of `tokenizers`, and in keys of model files.
const MEANINGS: [(&str, &str); 8] = [
    ("bos", "bos"),
    ("eos", "eos"),
    ("unk", "unknown"),
    // So the format spells it.
    ("sep", "seperator"),
    ("pad", "padding"),
    ("mask", "mask"),
    ("eot", "eot"),
    ("eom", "eom"),
];

/// Tokens of a meaning of their own.
#[derive(Debug, Default)]
pub struct Special {
    /// Ids by meaning.
    ids: BTreeMap<&'static str, u32>,
    /// Whether a token is added, by meaning.
    add: BTreeMap<&'static str, bool>,
    /// What a normalizer says of case and accents.
    lowercase: Option<bool>,
    strip_accents: Option<bool>,
}

/// Texts of tokens by meaning, as they are found out.
#[derive(Default)]
struct Texts(BTreeMap<&'static str, String>);

impl Special {
    /// What the files of a tokenizer and `config.json` say.
    pub fn read(
        config: &Config<'_>,
        folder: &Folder,
        json: Option<&TokenizerJson>,
        tokens: &[Token],
    ) -> Result<Self, Error> {
        let settings = folder.opt_json("tokenizer_config.json")?;
        let mut special = Self::default();
        let mut texts = Texts::read(&settings, &folder.opt_json("special_tokens_map.json")?);
        if let Some(json) = json {
            special.read_normalizer(&json.normalizer);
            texts.fill("bos", "cls");
            texts.fill("eos", "sep");
            let post = &json.post_processor;
            match post["processors"].as_array() {
                Some(processors) => {
                    processors.iter().for_each(|one| special.read_processor(one, &mut texts));
                }
                None => special.read_processor(post, &mut texts),
            }
        }
        for meaning in ["bos", "eos", "sep"] {
            if let Some(add) = settings[format!("add_{meaning}_token")].as_bool() {
                special.add.entry(meaning).or_insert(add);
            }
        }
        for (meaning, _) in MEANINGS {
            let text = texts.get(meaning);
            let by_text = text.and_then(|text| {
                let added = json.and_then(|json| json.added_id(text));
                added.or_else(|| Some(tokens.iter().position(|token| token.text == text)? as u32))
            });
            let number = config.get(&format!("{meaning}_token_id")).as_u64();
            let by_config = || number.and_then(|id| u32::try_from(id).ok());
            let id = by_text.or_else(by_config).filter(|&id| (id as usize) < tokens.len());
            if let Some(id) = id {
                special.ids.insert(meaning, id);
            }
        }
        Ok(special)
    }

    /// Says whether a token is added, whatever the files say.
    pub fn set_add(&mut self, meaning: &'static str, add: bool) {
        self.add.insert(meaning, add);
    }

    /// Adds it to the metadata.
    pub fn put(&self, pairs: &mut Pairs) -> Result<(), Error> {
        for (meaning, key) in MEANINGS {
            if let Some(&id) = self.ids.get(meaning) {
                pairs.put(&format!("tokenizer.ggml.{key}_token_id"), id)?;
            }
        }
        for (meaning, &add) in &self.add {
            pairs.put(&format!("tokenizer.ggml.add_{meaning}_token"), add)?;
        }
        for (key, value) in [("lowercase", self.lowercase), ("strip_accents", self.strip_accents)] {
            if let Some(value) = value {
                pairs.put(&format!("tokenizer.ggml.normalizer.{key}"), value)?;
            }
        }
        Ok(())
    }

    fn read_normalizer(&mut self, part: &Value) {
        match part["type"].as_str() {
            Some("Lowercase") => self.lowercase = Some(true),
            Some("StripAccents") => self.strip_accents = Some(true),
            Some("BertNormalizer") => {
                self.lowercase = part["lowercase"].as_bool().or(self.lowercase);
                self.strip_accents = part["strip_accents"].as_bool().or(self.strip_accents);
            }
            Some("Sequence") => {
                let parts = part["normalizers"].as_array();
                let parts = parts.into_iter().flatten().filter(|part| part["type"] != "Sequence");
                parts.for_each(|part| self.read_normalizer(part));
            }
            _ => {}
        }
    }

    /// Reads what is added around a text, and between two.
    fn read_processor(&mut self, part: &Value, texts: &mut Texts) {
        match part["type"].as_str() {
            Some("ByteLevel") => {
                for meaning in ["bos", "eos"] {
                    self.add.entry(meaning).or_insert(false);
                }
            }
            Some("RobertaProcessing") => {
                for meaning in ["bos", "eos", "sep"] {
                    self.add.insert(meaning, true);
                }
                for meaning in ["cls", "sep"] {
                    if let Some(text) = part[meaning][0].as_str() {
                        texts.0.entry(meaning).or_insert_with(|| text.to_owned());
                    }
                }
            }
            Some("TemplateProcessing") => self.read_template(part, texts),
            _ => {}
        }
    }

    fn read_template(&mut self, part: &Value, texts: &mut Texts) {
        let token = |item: &Value| item["SpecialToken"]["id"].as_str().map(str::to_owned);
        let none = Vec::new();
        let single = part["single"].as_array().unwrap_or(&none);
        let (mut first, mut last) = (None, None);
        if let [begin, .., end] = &single[..] {
            first = token(begin);
            last = token(end);
        }
        if let Some(first) = &first {
            for meaning in ["bos", "cls"] {
                if texts.get("bos") != Some(first) && texts.get("cls") != Some(first) {
                    texts.0.entry(meaning).or_insert_with(|| first.clone());
                }
            }
            let known = [texts.get("bos"), texts.get("cls")].contains(&Some(first.as_str()));
            self.add.insert("bos", known);
        }
        if let Some(last) = &last {
            if texts.get("eos") != Some(last) {
                // A text ends otherwise than the tokenizer says, which then is how a turn ends.
                if let Some(old) = texts.0.insert("eos", last.clone()) {
                    texts.0.entry("eot").or_insert(old);
                }
            }
            self.add.insert("eos", true);
        }
        self.read_pair(part, texts, first.as_deref(), last.as_deref());
    }

    /// Reads whether a token comes between two texts.
    fn read_pair(&mut self, part: &Value, texts: &Texts, first: Option<&str>, last: Option<&str>) {
        let token = |item: &Value| item["SpecialToken"]["id"].as_str().map(str::to_owned);
        let none = Vec::new();
        let mut pair = &part["pair"].as_array().unwrap_or(&none)[..];
        if let [begin, rest @ ..] = pair
            && first.is_some()
            && token(begin).as_deref() == first
        {
            pair = rest;
        }
        if let [rest @ .., end] = pair
            && last.is_some()
            && token(end).as_deref() == last
        {
            pair = rest;
        }
        let [a, between @ .., b] = pair else { return };
        let is_pair = a["Sequence"]["id"] == "A" && b["Sequence"]["id"] == "B";
        if !is_pair || between.is_empty() {
            return;
        }
        let separates = |item: &Value| {
            let text = token(item);
            let text = text.as_deref();
            text.is_some() && [texts.get("sep"), texts.get("eos")].contains(&text)
        };
        let add = (separates(&between[0]) && last.is_none())
            || (between.len() == 2 && separates(&between[1]));
        self.add.insert("sep", add);
    }
}

impl Texts {
    /// Those that settings name, or, where they are silent, a map.
    fn read(settings: &Value, map: &Value) -> Self {
        let mut texts = Self::default();
        for meaning in ["bos", "eos", "unk", "sep", "pad", "cls", "mask"] {
            let key = format!("{meaning}_token");
            let text = |value: &Value| {
                let value = &value[&key];
                value.as_str().or_else(|| value["content"].as_str()).map(str::to_owned)
            };
            if let Some(text) = text(settings).or_else(|| text(map)) {
                texts.0.insert(meaning, text);
            }
        }
        texts
    }

    fn get(&self, meaning: &str) -> Option<&str> {
        self.0.get(meaning).map(String::as_str)
    }

    /// Takes the text of another meaning where this one has none.
    fn fill(&mut self, meaning: &'static str, other: &str) {
        if let Some(text) = self.get(other).map(str::to_owned) {
            self.0.entry(meaning).or_insert(text);
        }
    }
}

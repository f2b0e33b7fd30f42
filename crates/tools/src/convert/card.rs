//! The model card: what `README.md` says of a model between two lines of dashes at its beginning, in a
//! small part of YAML.

use gguf::ValueType;

use super::Error;
use super::folder::Folder;
use super::model_name::{ModelName, title};
use super::pairs::Pairs;

/// Most lines that are read.
const MAX_LINES: usize = 1000;

/// Keys and their values, of which lists have several.
#[derive(Debug, Default, PartialEq)]
pub struct Card(Vec<(String, Vec<String>)>);

impl Card {
    /// Reads the card of a model; an empty one where there is none.
    pub fn read(folder: &Folder) -> Result<Self, Error> {
        let text = folder.opt_bytes("README.md")?.unwrap_or_default();
        Ok(Self::parse(&String::from_utf8_lossy(&text)))
    }

    fn parse(text: &str) -> Self {
        let mut card = Self::default();
        let mut lines = text.lines();
        if lines.next() != Some("---") {
            return card;
        }
        for line in lines.take(MAX_LINES).take_while(|line| *line != "---") {
            if let Some(item) = line.trim_start().strip_prefix("- ") {
                if let Some((_, values)) = card.0.last_mut() {
                    values.push(plain(item));
                }
            } else if let Some((key, value)) = line.split_once(':')
                && !key.starts_with([' ', '\t', '#'])
            {
                let value = value.trim();
                let list = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
                let values = match list {
                    Some(items) => items.split(',').map(plain).collect(),
                    None if value.is_empty() => Vec::new(),
                    None => vec![plain(value)],
                };
                card.0.push((key.to_owned(), values));
            }
        }
        card
    }

    /// The values of a key.
    fn all(&self, key: &str) -> &[String] {
        self.0.iter().find(|(name, _)| name == key).map_or(&[], |(_, values)| values)
    }

    /// The first value of the first of some keys that has one.
    pub fn text(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|key| self.all(key).first()).map(String::as_str)
    }

    /// Adds licence, ancestors, tags and languages.
    pub fn put(&self, pairs: &mut Pairs) -> Result<(), Error> {
        if !self.all("license").is_empty() {
            pairs.put("general.license", self.all("license").join(",").as_str())?;
        }
        for part in ["name", "link"] {
            if let Some(text) = self.text(&[&format!("license_{part}")]) {
                pairs.put(&format!("general.license.{part}"), text)?;
            }
        }
        for (keys, ours) in
            [(["base_model", "base_models"], "base_model"), (["datasets", "dataset"], "dataset")]
        {
            if let Some(key) = keys.into_iter().find(|key| !self.all(key).is_empty()) {
                put_sources(self.all(key), ours, pairs)?;
            }
        }
        for (keys, ours) in
            [(["tags", "pipeline_tag"], "tags"), (["languages", "language"], "languages")]
        {
            let values: Vec<&str> =
                keys.iter().flat_map(|key| self.all(key)).map(String::as_str).collect();
            if !values.is_empty() {
                pairs.put_array(&format!("general.{ours}"), ValueType::String, values)?;
            }
        }
        Ok(())
    }
}

/// Adds models or texts that a model is made of, named `organization/name`.
fn put_sources(names: &[String], kind: &str, pairs: &mut Pairs) -> Result<(), Error> {
    pairs.put(&format!("general.{kind}.count"), names.len() as u32)?;
    for (no, id) in names.iter().enumerate() {
        let mut put =
            |key: &str, value: &str| pairs.put(&format!("general.{kind}.{no}.{key}"), value);
        if id.contains("://") {
            put("repo_url", id)?;
            continue;
        }
        let (organization, name) = match id.split_once('/') {
            Some((organization, name)) => (Some(organization), name),
            None => (None, id.as_str()),
        };
        let parsed = ModelName::parse(name, 0);
        put("name", &parsed.title)?;
        if let Some(version) = &parsed.version {
            put("version", version)?;
        }
        if let Some(organization) = organization {
            put("organization", &title(organization))?;
            put("repo_url", &format!("https://huggingface.co/{id}"))?;
        }
    }
    Ok(())
}

/// A value without quotation marks.
fn plain(text: &str) -> String {
    let text = text.trim();
    let quoted = |mark: char| text.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
    quoted('"').or_else(|| quoted('\'')).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_read() {
        let card = Card::parse(
            "---\nlicense: apache-2.0\nlanguage:\n- en\n- 'no'\ntags: [chat, \"a b\"]\nwidget:\n  \
             x: y\n---\n# Title\nlicense: other\n",
        );
        assert_eq!(card.text(&["name", "license"]), Some("apache-2.0"));
        assert_eq!(card.all("language"), ["en", "no"]);
        assert_eq!(card.all("tags"), ["chat", "a b"]);
        assert_eq!(Card::parse("# Title\nlicense: mit"), Card::default());
    }
}

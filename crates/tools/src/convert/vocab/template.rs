//! How conversations become texts: templates of a model.

use std::fs;

use gguf::ValueType;
use serde_json::Value;

use crate::convert::Error;
use crate::convert::folder::Folder;
use crate::convert::pairs::Pairs;

/// Templates of a model.
#[derive(Debug, Default, PartialEq)]
pub struct Template {
    /// The usual one.
    default: Option<String>,
    /// Others, by name.
    named: Vec<(String, String)>,
}

impl Template {
    /// That of `tokenizer_config.json`, or those of files of their own.
    pub fn read(folder: &Folder) -> Result<Self, Error> {
        let settings = folder.opt_json("tokenizer_config.json")?;
        let template = Self::from_json(&settings["chat_template"]);
        if template != Self::default() {
            return Ok(template);
        }
        if let Some(text) = folder.opt_bytes("chat_template.jinja")? {
            let mut template = Self { default: Some(text_of(text)), named: Vec::new() };
            let more = folder.path.join("additional_chat_templates");
            let mut files: Vec<_> = fs::read_dir(more)
                .map(|files| files.filter_map(Result::ok).map(|file| file.path()).collect())
                .unwrap_or_default();
            files.sort();
            for path in files.iter().filter(|path| path.extension().is_some_and(|e| e == "jinja")) {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                let text = fs::read(path);
                let text = text.map_err(|error| Error::Read { path: path.clone(), error })?;
                template.add(&name, &text_of(text));
            }
            return Ok(template);
        }
        Ok(Self::from_json(&folder.opt_json("chat_template.json")?["chat_template"]))
    }

    /// Adds it to the metadata.
    pub fn put(&self, pairs: &mut Pairs) -> Result<(), Error> {
        for (name, text) in &self.named {
            pairs.put(&format!("tokenizer.chat_template.{name}"), text.as_str())?;
        }
        if !self.named.is_empty() {
            let names = self.named.iter().map(|(name, _)| name.as_str());
            pairs.put_array("tokenizer.chat_templates", ValueType::String, names)?;
        }
        match &self.default {
            Some(text) => pairs.put("tokenizer.chat_template", text.as_str()),
            None => Ok(()),
        }
    }

    fn from_json(value: &Value) -> Self {
        let mut template = Self { default: value.as_str().map(str::to_owned), named: Vec::new() };
        for one in value.as_array().into_iter().flatten() {
            if let (Some(name), Some(text)) = (one["name"].as_str(), one["template"].as_str()) {
                template.add(name, text);
            }
        }
        template
    }

    /// Adds one; the first of a name counts.
    fn add(&mut self, name: &str, text: &str) {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let name: String = name.chars().map(plain).collect();
        if name == "default" {
            self.default.get_or_insert_with(|| text.to_owned());
        } else if !name.is_empty() && self.named.iter().all(|(other, _)| *other != name) {
            self.named.push((name, text.to_owned()));
        }
    }
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_may_have_names() {
        let named = |name: &str| json!({"name": name, "template": name});
        let template = Template::from_json(&json!([named("default"), named("tool use")]));
        assert_eq!(template.default.as_deref(), Some("default"));
        assert_eq!(template.named, [("tool_use".to_owned(), "tool use".to_owned())]);
    }
}

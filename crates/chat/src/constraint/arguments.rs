//! Grammars of arguments by their JSON schemas.

use serde_json::{Map, Value, json};

use super::lark::{escaped, quoted};
use crate::format::Tagged;
use crate::parser::{Schema, Signature};

/// How deep schemas are followed; what is deeper may be any value.
const DEPTH: usize = 8;

/// Collects the rules of a grammar.
pub(super) struct Writer<'t> {
    rules: Vec<(String, String)>,
    /// Texts that may be special tokens, the longest first.
    markers: Vec<String>,
    token: &'t dyn Fn(&str) -> Option<u32>,
}

impl<'t> Writer<'t> {
    pub(super) fn new(mut markers: Vec<String>, token: &'t dyn Fn(&str) -> Option<u32>) -> Self {
        markers.sort_by_key(|marker| std::cmp::Reverse(marker.len()));
        Self { rules: Vec::new(), markers, token }
    }

    /// The whole grammar.
    pub(super) fn finish(self, start: &str) -> String {
        let mut text = format!("start: {start}\n");
        for (name, rule) in &self.rules {
            text += &format!("{name}: {rule}\n");
        }
        text += "SPACE: /[ \\t\\r\\n]{1,32}/\n";
        text
    }

    /// A rule of this kind, numbered; the same one for the same content.
    pub(super) fn rule(&mut self, kind: &str, rule: &str) -> String {
        self.attributed(kind, "", rule)
    }

    fn attributed(&mut self, kind: &str, attributes: &str, rule: &str) -> String {
        let plain = |name: &String| name.split('[').next().unwrap_or(name).to_owned();
        let same = |(name, old): &&(String, String)| old == rule && name.ends_with(attributes);
        if let Some((name, _)) = self.rules.iter().find(same) {
            return plain(name);
        }
        let name = format!("{kind}_{}", self.rules.len());
        self.rules.push((format!("{name}{attributes}"), rule.to_owned()));
        name
    }

    /// Exactly this text, whose special tokens are tokens.
    pub(super) fn literal(&self, text: &str) -> String {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let starts = self.markers.iter().filter(|marker| rest.starts_with(marker.as_str()));
            let token = starts.filter_map(|m| Some((m.len(), (self.token)(m)?))).next();
            if let Some((length, id)) = token {
                if !plain.is_empty() {
                    parts.push(quoted(&std::mem::take(&mut plain)));
                }
                parts.push(format!("<[{id}]>"));
                rest = &rest[length..];
            } else {
                plain.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        if !plain.is_empty() {
            parts.push(quoted(&plain));
        }
        parts.join(" ")
    }

    /// This marker, in which white space stands for any or none.
    pub(super) fn marker(&self, text: &str) -> String {
        let pieces: Vec<String> =
            text.split_whitespace().map(|piece| self.literal(piece)).collect();
        let before = if text.starts_with(char::is_whitespace) { "SPACE?" } else { "" };
        let after = if text.ends_with(char::is_whitespace) { "SPACE?" } else { "" };
        format!("{before} {} {after}", pieces.join(" SPACE? ")).trim().to_owned()
    }

    /// Any text.
    pub(super) fn text(&mut self) -> String {
        self.rule("text", "/(?s:.*)/")
    }

    /// Any text up to this one, which is included.
    pub(super) fn text_until(&mut self, end: &str) -> String {
        let token =
            self.markers.iter().any(|m| end.starts_with(m.as_str()) && (self.token)(m).is_some());
        if token || end.is_empty() {
            // Ordinary text holds no special token.
            return format!("{} {}", self.text(), self.literal(end));
        }
        self.attributed("text", &format!("[suffix={}]", quoted(end)), "/(?s:.*)/")
    }

    /// JSON by its schema.
    pub(super) fn json(&mut self, schema: &Value) -> String {
        let mut schema = schema.clone();
        if let Value::Object(fields) = &mut schema {
            // Without a bound, models may write spaces for ever.
            let space = json!({ "whitespace_pattern": "[ \\n]{0,16}" });
            fields.entry("x-guidance").or_insert(space);
            // As in llama.cpp, and for the same reason.
            if fields.contains_key("properties") {
                fields.entry("additionalProperties").or_insert(false.into());
            }
        }
        self.rule("json", &format!("%json {schema}"))
    }

    /// JSON by a schema within another, whose definitions it may refer to.
    fn json_within(&mut self, schema: &Value, root: &Value) -> String {
        let mut schema = schema.clone();
        if let (Value::Object(schema), Value::Object(root)) = (&mut schema, root) {
            for key in ["$defs", "definitions"] {
                if let Some(definitions) = root.get(key) {
                    schema.insert(key.to_owned(), definitions.clone());
                }
            }
        }
        self.json(&schema)
    }

    /// A part of JSON, with other white space too; `ID` stands for a string.
    pub(super) fn json_text(&self, text: &str) -> String {
        let space = "[ \\n]{0,16}";
        let mut pattern = escaped(text).replace(": ", &format!("{space}:{space}"));
        pattern = pattern
            .replace(", ", &format!("{space},{space}"))
            .replace("ID", "\"[a-zA-Z0-9_\\-]{1,32}\"");
        let inside = |p: String| {
            p.replace("\\{\"", &format!("\\{{{space}\"")).replace("\\}", &format!("{space}\\}}"))
        };
        format!("/{}/", inside(pattern))
    }

    /// `name(key=value, …)`.
    pub(super) fn keywords(&mut self, function: &Signature) -> String {
        let root = &function.parameters;
        let (required, optional) = self.members(root, root, |w, key, schema| {
            let value = w.json_within(schema, root);
            format!("{} {value}", quoted(&format!("{key}=")))
        });
        let arguments = separated(&required, &optional, "/, ?/");
        format!("{} {arguments} \")\"", quoted(&format!("{}(", function.name)))
    }

    /// Keys and values in tags.
    pub(super) fn tagged(&mut self, tagged: &Tagged, schema: &Value, root: &Value) -> String {
        if let Some(begin) = &tagged.elements {
            return self.elements(begin, schema, root, 0);
        }
        let (required, optional) = self.members(schema, root, |w, key, schema| {
            let is_text = Schema::new(root, schema).may_be_text();
            let attributes = match (tagged.attributes, is_text) {
                (false, _) => String::new(),
                (true, true) if tagged.key_open.contains("DSML") => quoted("\" string=\"true\""),
                (true, false) if tagged.key_open.contains("DSML") => quoted("\" string=\"false\""),
                (true, _) => "/\" type=\"[a-z]+\"/".to_owned(),
            };
            // What stands in quotes in a tag is exact.
            let open = w.literal(&format!("{}{key}", tagged.key_open));
            let close = w.literal(&tagged.key_close);
            let begins_line = if tagged.value_close.starts_with('\n') { "\"\\n\"" } else { "" };
            let open = format!(
                "{open} {attributes} {close} {} {begins_line}",
                w.marker(&tagged.value_open)
            );
            let value = if is_text {
                w.text_until(&tagged.value_close)
            } else {
                format!("{} {}", w.json_within(schema, root), w.marker(&tagged.value_close))
            };
            format!("{open} {value} SPACE?")
        });
        let any = if optional.is_empty() {
            String::new()
        } else {
            format!("({})*", optional.join(" | "))
        };
        format!("SPACE? {} {any}", required.join(" "))
    }

    /// Members as elements, all of whose tags begin with `begin`.
    fn elements(&mut self, begin: &str, schema: &Value, root: &Value, depth: usize) -> String {
        let (required, optional) = self.members(schema, root, |w, key, schema| {
            let open = w.literal(&format!("{begin}<{key}>"));
            let close = format!("{begin}</{key}>");
            format!("{open} {} SPACE?", w.element(begin, &close, schema, root, depth + 1))
        });
        let any = if optional.is_empty() {
            String::new()
        } else {
            format!("({})*", optional.join(" | "))
        };
        format!("SPACE? {} {any}", required.join(" "))
    }

    fn element(
        &mut self,
        begin: &str,
        close: &str,
        schema: &Value,
        root: &Value,
        depth: usize,
    ) -> String {
        let typed = Schema::new(root, schema);
        let end = self.literal(close);
        let resolved = typed.resolve().cloned().unwrap_or_default();
        match typed.kind() {
            _ if typed.may_be_text() || depth > DEPTH => self.text_until(close),
            Some("object") if resolved.get("properties").is_some() => {
                format!("{} {end}", self.elements(begin, &resolved, root, depth))
            }
            Some("array") => {
                let item = resolved.get("items").cloned().unwrap_or_default();
                let item_close = format!("{begin}</item>");
                let value = self.element(begin, &item_close, &item, root, depth + 1);
                format!(
                    "(SPACE? {} {value})* SPACE? {end}",
                    self.literal(&format!("{begin}<item>"))
                )
            }
            _ => format!("{} {end}", self.json_within(schema, root)),
        }
    }

    /// `{key:<|"|>text<|"|>,…}`.
    pub(super) fn gemma(&mut self, schema: &Value, root: &Value) -> String {
        self.gemma_object(schema, root, 0)
    }

    fn gemma_object(&mut self, schema: &Value, root: &Value, depth: usize) -> String {
        let (required, optional) = self.members(schema, root, |w, key, schema| {
            format!("{} {}", quoted(&format!("{key}:")), w.gemma_value(schema, root, depth + 1))
        });
        let members = separated(&required, &optional, "/, ?/");
        self.rule("object", &format!("\"{{\" {members} \"}}\""))
    }

    fn gemma_value(&mut self, schema: &Value, root: &Value, depth: usize) -> String {
        let typed = Schema::new(root, schema);
        let resolved = typed.resolve().cloned().unwrap_or_default();
        let quote = "<|\"|>";
        if let Some(Value::Array(values)) = resolved.get("enum") {
            let texts = values.iter().map(|value| match value.as_str() {
                Some(text) => self.literal(&format!("{quote}{text}{quote}")),
                None => quoted(&value.to_string()),
            });
            return format!("({})", texts.collect::<Vec<_>>().join(" | "));
        }
        match typed.kind() {
            Some("string") => format!("{} {}", self.literal(quote), self.text_until(quote)),
            Some("object") if resolved.get("properties").is_some() && depth <= DEPTH => {
                self.gemma_object(&resolved, root, depth)
            }
            Some("array") if depth <= DEPTH => {
                let item = resolved.get("items").cloned().unwrap_or_default();
                let item = self.gemma_value(&item, root, depth + 1);
                format!("\"[\" ({item} (/, ?/ {item})*)? \"]\"")
            }
            Some("integer" | "number" | "boolean" | "null") => self.json_within(schema, root),
            _ => self.gemma_any(),
        }
    }

    /// Any value.
    fn gemma_any(&mut self) -> String {
        let quote = "<|\"|>";
        let text = format!("{} {}", self.literal(quote), self.text_until(quote));
        let plain = self.json(&serde_json::json!({ "type": ["number", "boolean", "null"] }));
        let name = "any_value";
        let object = format!(
            "\"{{\" (/[^:{{}}<]+/ \":\" {name} (\",\" /[^:{{}}<]+/ \":\" {name})*)? \"}}\""
        );
        let list = format!("\"[\" ({name} (\",\" {name})*)? \"]\"");
        let rule = format!("{text} | {plain} | {object} | {list}");
        if !self.rules.iter().any(|(rule, _)| rule == name) {
            self.rules.push((name.to_owned(), rule));
        }
        name.to_owned()
    }

    /// Required and optional members of an object, each written by `write`.
    fn members(
        &mut self,
        schema: &Value,
        root: &Value,
        mut write: impl FnMut(&mut Self, &str, &Value) -> String,
    ) -> (Vec<String>, Vec<String>) {
        let schema = Schema::new(root, schema).resolve().cloned().unwrap_or_default();
        let nothing = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&nothing);
        let names = schema.get("required").and_then(Value::as_array);
        let is_required =
            |key: &str| names.is_some_and(|names| names.iter().any(|name| name == key));
        let (mut required, mut optional) = (Vec::new(), Vec::new());
        for (key, schema) in properties {
            let member = write(self, key, schema);
            if is_required(key) { required.push(member) } else { optional.push(member) }
        }
        (required, optional)
    }
}

/// Required members in their order, then optional ones in any, with separators between.
fn separated(required: &[String], optional: &[String], separator: &str) -> String {
    let any = optional.join(" | ");
    match (required.is_empty(), optional.is_empty()) {
        (true, true) => String::new(),
        (false, true) => required.join(&format!(" {separator} ")),
        (true, false) => format!("(({any}) ({separator} ({any}))*)?"),
        (false, false) => {
            let required = required.join(&format!(" {separator} "));
            format!("{required} ({separator} ({any}))*")
        }
    }
}

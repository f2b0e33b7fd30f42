use serde_json::Value;

use super::values;

/// How many references are followed.
const REFERENCES: usize = 16;

/// A function that may be called.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Signature {
    pub(crate) name: String,
    /// The JSON schema of its arguments.
    pub(crate) parameters: Value,
}

/// The schema of a value within the arguments of a function, to tell texts from other values.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Schema<'a> {
    root: Option<&'a Value>,
    schema: Option<&'a Value>,
}

impl Signature {
    /// The schema of an argument.
    pub(super) fn argument(&self, key: &str) -> Option<Schema<'_>> {
        Schema { root: Some(&self.parameters), schema: Some(&self.parameters) }.member(key)
    }
}

impl<'a> Schema<'a> {
    /// A schema within another, whose definitions it may refer to.
    pub(crate) fn new(root: &'a Value, schema: &'a Value) -> Self {
        Self { root: Some(root), schema: Some(schema) }
    }

    /// The schema with what it refers to in its place.
    pub(crate) fn resolve(self) -> Option<&'a Value> {
        self.resolved(0)
    }

    /// The one type of all values.
    pub(crate) fn kind(self) -> Option<&'a str> {
        self.types().and_then(|types| <[&str; 1]>::try_from(types).ok()).map(|[kind]| kind)
    }

    /// Whether some values may be texts.
    pub(crate) fn may_be_text(self) -> bool {
        match self.resolved(0).and_then(|schema| schema.get("enum")) {
            Some(Value::Array(values)) => values.iter().any(Value::is_string),
            _ => self.types().is_none_or(|types| types.contains(&"string")),
        }
    }

    /// The schema of a member of an object, or of the items of a list.
    pub(super) fn member(self, key: &str) -> Option<Self> {
        let schema = self.resolved(0)?;
        let member = schema.get("properties").and_then(|properties| properties.get(key));
        let member = member.or_else(|| schema.get("items").filter(|_| key == "item"));
        member.map(|member| Self { schema: Some(member), ..self })
    }

    /// Whether every value is a text.
    pub(super) fn is_text(self) -> bool {
        let Some(schema) = self.resolved(0) else { return false };
        match (schema.get("enum"), schema.get("const")) {
            (Some(Value::Array(values)), _) => values.iter().all(Value::is_string),
            (_, Some(value)) => value.is_string(),
            _ => self.types().is_some_and(|types| types == ["string"]),
        }
    }

    /// A value that is written without quotes.
    pub(super) fn to_json(self, text: &str) -> String {
        let word = text.trim();
        if self.is_text() {
            return Value::from(text).to_string();
        }
        if serde_json::from_str(word).is_ok_and(|value| self.allows(&value)) {
            return word.to_owned();
        }
        // Some models were taught with templates that write values as Python does.
        let literal = values::literal(word).filter(|literal| {
            !literal.starts_with('"')
                && serde_json::from_str(literal).is_ok_and(|value| self.allows(&value))
        });
        literal.unwrap_or_else(|| Value::from(text).to_string())
    }

    fn resolved(self, depth: usize) -> Option<&'a Value> {
        let schema = self.schema?;
        let Some(pointer) = schema.get("$ref").and_then(Value::as_str) else { return Some(schema) };
        if depth == REFERENCES {
            return None;
        }
        let target = self.root?.pointer(pointer.strip_prefix('#')?);
        Self { schema: target, ..self }.resolved(depth + 1)
    }

    /// The types it names.
    fn types(self) -> Option<Vec<&'a str>> {
        let schema = self.resolved(0)?;
        if let Some(choices) = schema.get("anyOf").or_else(|| schema.get("oneOf")) {
            let choices = choices.as_array()?.iter();
            let types = choices.map(|schema| Self { schema: Some(schema), ..self }.plain_types());
            return types.collect::<Option<Vec<_>>>().map(|types| types.concat());
        }
        self.plain_types()
    }

    fn plain_types(self) -> Option<Vec<&'a str>> {
        let schema = self.resolved(0)?;
        match schema.get("type")? {
            Value::String(name) => Some(vec![name]),
            Value::Array(names) => Some(names.iter().filter_map(Value::as_str).collect()),
            _ => None,
        }
    }

    /// Whether a value that has been read as JSON is one of the types.
    fn allows(self, value: &Value) -> bool {
        let Some(types) = self.types() else { return true };
        let name = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => return types.iter().any(|t| matches!(*t, "number" | "integer")),
            Value::String(_) => return !types.contains(&"string"),
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        types.contains(&name) || !types.contains(&"string")
    }
}

//! JSON schemas made ready for the parser: what it does not support is refused by name.

use serde_json::{Map, Value, json};

use crate::Error;

/// Schemas within schemas.
const MAX_DEPTH: usize = 60;
/// Schemas in all.
const MAX_SCHEMAS: usize = 20_000;
/// The largest number of items, properties or characters.
const MAX_COUNT: u64 = 100_000;

/// White space between the parts, as llama.cpp allows it: enough to be readable, never endless.
const SPACE: &str = r" |\n{1,2}[ \t]{0,20}";

/// Times of day as RFC 3339 has them, but no leap seconds: which there are depends on more than the
/// text tells.
const TIME: &str =
    r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[-+]([01][0-9]|2[0-3]):[0-5][0-9])";
/// Dates but the 29th of February.
const DATE: &str = "[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))";

/// Addresses that every reading of RFC 5321 takes.
const EMAIL: &str = r"[A-Za-z0-9_+-]{1,20}(\.[A-Za-z0-9_+-]{1,20}){0,2}@([A-Za-z0-9]([A-Za-z0-9-]{0,20}[A-Za-z0-9])?\.){1,4}[A-Za-z]{2,10}";

/// What a keyword takes.
#[derive(Clone, Copy, PartialEq)]
enum Takes {
    /// Nothing that counts: it only describes.
    Note,
    Schema,
    Schemas,
    /// An array of schemas, or one for all items.
    Items,
    /// Schemas by name.
    Named,
    /// The same, and they describe properties.
    Properties,
    Count,
    Number,
    Text,
    Texts,
    /// A type or several.
    Type,
    Enum,
    Any,
    /// Only this value, by which it says nothing.
    Nothing(bool),
}

fn takes(keyword: &str) -> Option<Takes> {
    Some(match keyword {
        "$schema" | "$id" | "id" | "$comment" | "title" | "description" | "default"
        | "examples" | "readOnly" | "writeOnly" | "deprecated" | "$anchor" => Takes::Note,
        "$ref" | "pattern" | "format" => Takes::Text,
        "$defs" | "definitions" => Takes::Named,
        "properties" | "patternProperties" => Takes::Properties,
        "additionalProperties" | "additionalItems" => Takes::Schema,
        "anyOf" | "oneOf" | "allOf" | "prefixItems" => Takes::Schemas,
        "items" => Takes::Items,
        "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minLength" | "maxLength" => {
            Takes::Count
        }
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
            Takes::Number
        }
        "required" => Takes::Texts,
        "type" => Takes::Type,
        "enum" => Takes::Enum,
        "const" => Takes::Any,
        "uniqueItems" => Takes::Nothing(false),
        "unevaluatedProperties" | "unevaluatedItems" => Takes::Nothing(true),
        _ => return None,
    })
}

/// Checks a schema and puts it as the parser takes it.
pub(crate) fn prepare(schema: &Value) -> Result<Value, Error> {
    let mut walk = Walk { schemas: 0 };
    // Where schemas are combined, one that is closed would shut out the properties of others.
    let combined = contains_all_of(schema, MAX_DEPTH);
    let prepared = walk.schema(schema, "#", 0, !combined)?;
    let mut prepared = match prepared {
        Value::Object(object) => object,
        Value::Bool(true) => Map::new(),
        other => Map::from_iter([("allOf".to_owned(), json!([other]))]),
    };
    prepared.insert("x-guidance".into(), json!({ "whitespace_pattern": SPACE }));
    Ok(Value::Object(prepared))
}

fn contains_all_of(value: &Value, depth: usize) -> bool {
    depth > 0
        && match value {
            Value::Object(object) => {
                object.contains_key("allOf")
                    || object.values().any(|value| contains_all_of(value, depth - 1))
            }
            Value::Array(values) => values.iter().any(|value| contains_all_of(value, depth - 1)),
            _ => false,
        }
}

struct Walk {
    schemas: usize,
}

impl Walk {
    /// `closed` is whether objects have no other properties than listed, unless they say so.
    fn schema(
        &mut self,
        schema: &Value,
        path: &str,
        depth: usize,
        closed: bool,
    ) -> Result<Value, Error> {
        self.schemas += 1;
        for (what, size, limit) in
            [("its depth", depth, MAX_DEPTH), ("its number of schemas", self.schemas, MAX_SCHEMAS)]
        {
            if size > limit {
                return Err(Error::Limit { what, size, limit });
            }
        }
        let object = match schema {
            Value::Object(object) => object,
            Value::Bool(_) => return Ok(schema.clone()),
            _ => return Err(wrong("schema", path, "an object or a boolean")),
        };
        let combines = |key: &str| object.contains_key(key);
        let alone = !["anyOf", "oneOf", "allOf", "$ref"].into_iter().any(combines);
        let mut prepared = Map::new();
        for (keyword, value) in object {
            let Some(takes) = takes(keyword) else {
                let (keyword, path) = (keyword.clone(), path.to_owned());
                return Err(Error::UnsupportedKeyword { keyword, path });
            };
            // Parts of a combination leave each other room, unless there is nothing beside it.
            let closed = closed && (alone || object.len() == 1 || takes != Takes::Schemas);
            if let Some(value) = self.keyword(keyword, takes, value, path, depth + 1, closed)? {
                prepared.insert(keyword.clone(), value);
            }
        }
        check_least_properties(&prepared, path)?;
        let pattern = match prepared.get("format").and_then(Value::as_str) {
            Some("email") => Some(format!("^{EMAIL}$")),
            Some("time") => Some(format!("^{TIME}$")),
            Some("date-time") => Some(format!("^{DATE}T{TIME}$")),
            _ => None,
        };
        if let Some(pattern) = pattern {
            prepared.remove("format");
            let all = prepared.entry("allOf").or_insert_with(|| json!([]));
            if let Some(all) = all.as_array_mut() {
                // Like the format, it asks nothing of what is no string.
                all.push(json!({ "pattern": pattern }));
            }
        }
        let lists = prepared.contains_key("properties");
        let says = ["additionalProperties", "patternProperties", "minProperties"];
        if closed && alone && lists && !says.into_iter().any(|key| prepared.contains_key(key)) {
            prepared.insert("additionalProperties".into(), false.into());
        }
        Ok(Value::Object(prepared))
    }

    /// The value as the parser takes it; `None` where the keyword says nothing.
    fn keyword(
        &mut self,
        keyword: &str,
        takes: Takes,
        value: &Value,
        path: &str,
        depth: usize,
        closed: bool,
    ) -> Result<Option<Value>, Error> {
        let wrong = |expected| Err(wrong(keyword, path, expected));
        let path = format!("{path}/{keyword}");
        let valid = match takes {
            Takes::Note => return Ok(None),
            Takes::Nothing(value_of) => match value {
                Value::Bool(said) if *said == value_of => return Ok(None),
                _ => {
                    let keyword = keyword.to_owned();
                    return Err(Error::UnsupportedKeyword { keyword, path });
                }
            },
            Takes::Schema => return Ok(Some(self.schema(value, &path, depth, closed)?)),
            Takes::Items if !value.is_array() => {
                return Ok(Some(self.schema(value, &path, depth, closed)?));
            }
            Takes::Schemas | Takes::Items => {
                let Some(values) = value.as_array() else { return wrong("an array of schemas") };
                if values.is_empty() && takes == Takes::Schemas && keyword != "prefixItems" {
                    return wrong("an array of at least one schema");
                }
                let all = values
                    .iter()
                    .enumerate()
                    .map(|(i, value)| self.schema(value, &format!("{path}/{i}"), depth, closed));
                return Ok(Some(Value::Array(all.collect::<Result<_, _>>()?)));
            }
            Takes::Named | Takes::Properties => {
                let Some(named) = value.as_object() else { return wrong("an object of schemas") };
                let all = named.iter().map(|(name, value)| {
                    let path = format!("{path}/{name}");
                    Ok((name.clone(), self.schema(value, &path, depth, closed)?))
                });
                return Ok(Some(Value::Object(all.collect::<Result<_, Error>>()?)));
            }
            Takes::Count => match count(value) {
                Some(count) if count <= MAX_COUNT => return Ok(Some(count.into())),
                Some(count) => {
                    let size = usize::try_from(count).unwrap_or(usize::MAX);
                    let limit = MAX_COUNT as usize;
                    return Err(Error::Limit { what: "a count in it", size, limit });
                }
                None => return wrong("a whole number of at least 0"),
            },
            Takes::Number => value.is_number(),
            Takes::Text => value.is_string(),
            Takes::Texts => value.as_array().is_some_and(|all| all.iter().all(Value::is_string)),
            Takes::Type => match value {
                Value::String(name) => is_type(name),
                Value::Array(names) => {
                    !names.is_empty() && names.iter().all(|n| n.as_str().is_some_and(is_type))
                }
                _ => false,
            },
            Takes::Enum => value.as_array().is_some_and(|all| !all.is_empty()),
            Takes::Any => true,
        };
        if !valid {
            return wrong(match takes {
                Takes::Number => "a number",
                Takes::Text => "a string",
                Takes::Texts => "an array of strings",
                Takes::Type => {
                    "null, boolean, number, integer, string, array or object, or several"
                }
                _ => "an array of at least one value",
            });
        }
        if keyword == "multipleOf" && value.as_f64().is_none_or(|step| step <= 0.0) {
            return wrong("a number above 0");
        }
        Ok(Some(value.clone()))
    }
}

/// Where names are free, the parser can't tell that one is repeated, which makes fewer properties
/// than it counts.
fn check_least_properties(object: &Map<String, Value>, path: &str) -> Result<(), Error> {
    let least = object.get("minProperties").and_then(Value::as_u64).unwrap_or(0);
    let required = object.get("required").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    let free = object.get("additionalProperties") != Some(&Value::Bool(false))
        || object.contains_key("patternProperties");
    if free && least > required.max(1) {
        let expected = "at most 1 or the number of required properties where names are free";
        return Err(wrong("minProperties", path, expected));
    }
    Ok(())
}

fn wrong(keyword: &str, path: &str, expected: &str) -> Error {
    Error::Schema { keyword: keyword.into(), path: path.into(), expected: expected.into() }
}

fn is_type(name: &str) -> bool {
    ["null", "boolean", "number", "integer", "string", "array", "object"].contains(&name)
}

/// A count, which may be written as `3.0`.
fn count(value: &Value) -> Option<u64> {
    let float = || value.as_f64().filter(|x| x.fract() == 0.0 && (0.0..1e15).contains(x));
    value.as_u64().or_else(|| float().map(|x| x as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(schema: Value) -> String {
        prepare(&schema).expect_err("a refusal").to_string()
    }

    #[test]
    fn unsupported_keywords_are_named_with_their_place() {
        for keyword in [
            "not",
            "if",
            "then",
            "else",
            "contains",
            "minContains",
            "propertyNames",
            "dependentRequired",
            "dependentSchemas",
            "dependencies",
            "$dynamicRef",
            "x-guidance",
            "unheardOf",
            "nullable",
        ] {
            let schema = json!({"properties": {"a": {"items": {keyword: {}}}}});
            let expected = format!(
                "JSON schema, #/properties/a/items: the keyword \"{keyword}\" is not supported"
            );
            assert_eq!(refused(schema), expected);
        }
        assert!(refused(json!({"uniqueItems": true})).contains("uniqueItems"));
        assert!(prepare(&json!({"uniqueItems": false, "title": 3, "deprecated": true})).is_ok());
        // Names of properties are no keywords.
        assert!(prepare(&json!({"properties": {"not": {"type": "null"}}})).is_ok());
    }

    #[test]
    fn values_of_the_wrong_kind_are_refused() {
        for (schema, expected) in [
            (json!({"type": "text"}), "null, boolean"),
            (json!({"minItems": -1}), "a whole number of at least 0"),
            (json!({"minLength": 1.5}), "a whole number"),
            (json!({"maxItems": 100_001}), "the limit is 100000"),
            (json!({"multipleOf": 0}), "a number above 0"),
            (json!({"enum": []}), "at least one value"),
            (json!({"anyOf": []}), "at least one schema"),
            (json!({"anyOf": {}}), "an array of schemas"),
            (json!({"properties": []}), "an object of schemas"),
            (json!({"items": 3}), "an object or a boolean"),
            (json!({"minProperties": 2}), "where names are free"),
            (json!({"required": [1]}), "an array of strings"),
            (json!(3), "an object or a boolean"),
        ] {
            let message = refused(schema.clone());
            assert!(message.contains(expected), "{schema}: {message}");
        }
        let mut deep = json!({});
        for _ in 0..100 {
            deep = json!({ "items": deep });
        }
        assert!(refused(deep).contains("its depth"));
    }

    #[test]
    fn objects_are_closed_unless_they_say_otherwise_or_are_combined() {
        let closed = |schema: Value| {
            let prepared = prepare(&schema).expect("a supported schema");
            prepared.get("additionalProperties") == Some(&json!(false))
        };
        let one = json!({"a": {"type": "null"}});
        assert!(closed(json!({"type": "object", "properties": one})));
        assert!(!closed(json!({"type": "object"})));
        assert!(!closed(json!({"properties": one, "additionalProperties": true})));
        assert!(!closed(json!({"properties": one, "patternProperties": {}})));
        assert!(!closed(json!({"properties": one, "allOf": [{"properties": {}}]})));
        assert!(!closed(json!({"properties": one, "anyOf": [{"required": ["b"]}]})));
        let prepared = prepare(&json!({"anyOf": [{"properties": one}]})).expect("supported");
        assert_eq!(prepared["anyOf"][0]["additionalProperties"], json!(false));
    }
}

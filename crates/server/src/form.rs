//! What an answer must look like.

use std::sync::Arc;

use chat::{Constraint, Prompt};
use engine::Engine;
use grammar::{Grammar, Trigger};
use serde::Deserialize;
use serde_json::Value;

use crate::error::{ApiError, Kind};
use crate::models::Loaded;

/// How requests say what an answer must look like, in the names of OpenAI and llama.cpp.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct FormFields {
    /// An object of `type` `text`, `json_object` or `json_schema`.
    pub response_format: Option<Value>,
    /// A JSON schema.
    pub json_schema: Option<Value>,
    /// A grammar in the notation of llama.cpp.
    pub grammar: Option<String>,
}

/// What an answer must look like.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Form {
    /// As the model likes.
    #[default]
    Free,
    /// JSON that fits a schema.
    Schema(Value),
    /// A text of a grammar in the notation of llama.cpp.
    Grammar(String),
}

impl FormFields {
    /// What they say together.
    ///
    /// # Errors
    /// Forms that are not known, and more than one of them.
    pub fn form(&self) -> Result<Form, ApiError> {
        let format = self.response_format.as_ref().filter(|format| !format.is_null());
        let schema = self.json_schema.as_ref().filter(|schema| !schema.is_null());
        let grammar = self.grammar.as_ref().filter(|grammar| !grammar.is_empty());
        let format = format.map(of_response_format).transpose()?.unwrap_or_default();
        match (format, schema, grammar) {
            (form, None, None) => Ok(form),
            (Form::Free, Some(schema), None) => Form::schema(schema, "json_schema"),
            (Form::Free, None, Some(grammar)) => Ok(Form::Grammar(grammar.clone())),
            _ => Err(ApiError::invalid(
                "only one of 'response_format', 'json_schema' and 'grammar' can be followed",
            )),
        }
    }
}

impl Form {
    /// Any JSON object.
    pub fn json_object() -> Self {
        Self::Schema(serde_json::json!({ "type": "object" }))
    }

    /// JSON of this schema, which `name` is called in the request.
    ///
    /// # Errors
    /// What is no schema.
    pub fn schema(schema: &Value, name: &str) -> Result<Self, ApiError> {
        match schema {
            Value::Object(_) | Value::Bool(true) => Ok(Self::Schema(schema.clone())),
            _ => {
                let message = format!("'{name}' must be a JSON schema, an object");
                Err(ApiError::invalid(message).with("param", name))
            }
        }
    }

    /// The grammar that an answer to `prompt` is held to: of this form, else of the calls of
    /// functions that must be. That it can be followed is checked.
    ///
    /// # Errors
    /// Schemas and grammars that are not valid.
    pub fn grammar(
        &self,
        engine: &Engine,
        prompt: Option<&Prompt>,
    ) -> Result<Option<Grammar>, ApiError> {
        let calls = prompt.and_then(|prompt| prompt.constraint.as_ref());
        let calls = calls.filter(|constraint| !constraint.lazy);
        let grammar = match (self, calls) {
            (Self::Free, None) => return Ok(None),
            (Self::Free, Some(calls)) => of_calls(calls, engine)?,
            (_, Some(_)) => {
                let message = "an answer can't both call functions and have a form";
                return Err(ApiError::invalid(message).with("param", "tool_choice"));
            }
            (Self::Schema(schema), None) => Grammar::json_schema(schema)?,
            (Self::Grammar(text), None) => Grammar::gbnf(text)?,
        };
        if *self != Self::Free && prompt.is_some_and(|prompt| prompt.parser.is_thinking()) {
            let message = "this model's answers begin with thoughts, which can't be followed by \
                           text of a form yet";
            return Err(ApiError::new(Kind::Unsupported, message));
        }
        engine.constraint(&grammar)?;
        Ok(Some(grammar))
    }

    /// As [`Form::grammar`], of plain text, away from the threads that serve clients.
    ///
    /// # Errors
    /// As there.
    pub async fn of_text(self, model: &Arc<Loaded>) -> Result<Option<Grammar>, ApiError> {
        let model = model.clone();
        let work = move || self.grammar(model.engine(), None);
        let failed = |_| ApiError::new(Kind::Internal, "the grammar can't be made");
        tokio::task::spawn_blocking(work).await.map_err(failed)?
    }
}

/// The grammar of calls, at once or after thoughts.
fn of_calls(calls: &Constraint, engine: &Engine) -> Result<Grammar, ApiError> {
    let find = |text: &str| engine.tokenizer().find(text);
    let lark = calls.lark(&find);
    let Some(close) = calls.after.first() else { return Ok(Grammar::lark(&lark)) };
    let (trigger, literal) = match find(close) {
        Some(id) => (Trigger::Token(id), format!("<[{id}]>")),
        None => (Trigger::Word(close.clone()), Value::from(close.as_str()).to_string()),
    };
    // What begins it is part of a lazy grammar.
    let (start, rules) = lark.split_once('\n').unwrap_or((&lark, ""));
    let start = start.strip_prefix("start: ").unwrap_or(start);
    let lark = format!("start: {literal} ({start})\n{rules}");
    Ok(Grammar::lark(&lark).lazy(&[trigger])?)
}

fn of_response_format(format: &Value) -> Result<Form, ApiError> {
    let refused = || {
        let message = "'response_format' must be an object of type 'text', 'json_object' or \
                       'json_schema'";
        ApiError::invalid(message).with("param", "response_format")
    };
    match format.get("type").and_then(Value::as_str).ok_or_else(refused)? {
        "text" => Ok(Form::Free),
        // As in llama.cpp, it may bring a schema.
        "json_object" => match format.get("schema").filter(|schema| !schema.is_null()) {
            Some(schema) => Form::schema(schema, "response_format.schema"),
            None => Ok(Form::json_object()),
        },
        "json_schema" => {
            let schema = format.pointer("/json_schema/schema").or(format.get("schema"));
            Form::schema(schema.unwrap_or(&Value::Null), "response_format.json_schema.schema")
        }
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form(value: Value) -> Result<Form, ApiError> {
        serde_json::from_value::<FormFields>(value).expect("fields").form()
    }

    #[test]
    fn forms_are_understood() {
        let schema = json!({ "type": "integer" });
        let wanted = Form::Schema(schema.clone());
        for (value, expected) in [
            (json!({}), Form::Free),
            (json!({ "response_format": null, "grammar": "" }), Form::Free),
            (json!({ "response_format": { "type": "text" } }), Form::Free),
            (json!({ "response_format": { "type": "json_object" } }), Form::json_object()),
            (
                json!({ "response_format": { "type": "json_object", "schema": schema } }),
                wanted.clone(),
            ),
            (
                json!({ "response_format": {
                    "type": "json_schema", "json_schema": { "name": "n", "schema": schema },
                } }),
                wanted.clone(),
            ),
            (json!({ "json_schema": schema }), wanted),
            (json!({ "grammar": "root ::= \"a\"" }), Form::Grammar("root ::= \"a\"".into())),
        ] {
            assert_eq!(form(value.clone()).expect("a form"), expected, "{value}");
        }
        for value in [
            json!({ "response_format": "json" }),
            json!({ "response_format": { "type": "xml" } }),
            json!({ "response_format": { "type": "json_schema" } }),
            json!({ "json_schema": 3 }),
            json!({ "json_schema": {}, "grammar": "root ::= \"a\"" }),
        ] {
            assert!(form(value.clone()).is_err(), "{value}");
        }
    }
}

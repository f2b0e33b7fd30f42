//! The fields of a request.

use chat::{Function, Request, Tool};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::input;
use crate::error::ApiError;
use crate::form::{Form, FormFields};
use crate::generate::Generate;
use crate::openai::chat::tool_choice;
use crate::sampling::Sampling;

/// The fields of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Fields {
    pub model: Option<String>,
    pub stream: Option<bool>,
    input: Value,
    instructions: Option<String>,
    tools: Option<Vec<Value>>,
    tool_choice: Value,
    parallel_tool_calls: Option<bool>,
    max_output_tokens: Option<i64>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    text: Option<Text>,
    reasoning: Option<Reasoning>,
    metadata: Option<Map<String, Value>>,
    user: Option<String>,
    previous_response_id: Option<String>,
    conversation: Value,
    background: Option<bool>,
    prompt: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Text {
    format: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reasoning {
    effort: Option<String>,
}

/// A function, as this API writes it.
#[derive(Debug, Deserialize)]
struct OwnTool {
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
}

impl Fields {
    /// The conversation to continue.
    ///
    /// # Errors
    /// What is not well-formed, and what needs responses to be stored.
    pub fn conversation(&self) -> Result<Request, ApiError> {
        for (name, is_given) in [
            ("previous_response_id", self.previous_response_id.is_some()),
            ("conversation", !self.conversation.is_null()),
            ("prompt", !self.prompt.is_null()),
            ("background", self.background == Some(true)),
        ] {
            if is_given {
                let message = format!(
                    "'{name}' is not supported: this server stores nothing; send all of the \
                     conversation as 'input'"
                );
                return Err(ApiError::invalid(message).with("param", name));
            }
        }
        let tools = self.tools.iter().flatten().enumerate();
        let tools: Vec<Tool> = tools.map(|(i, value)| tool(value, i)).collect::<Result<_, _>>()?;
        let choice = tool_choice(Some(&self.tool_choice), &tools)?;
        let effort = self.reasoning.as_ref().and_then(|reasoning| reasoning.effort.as_deref());
        let mut kwargs = Map::new();
        if let Some(effort) = effort {
            kwargs.insert("reasoning_effort".into(), effort.into());
        }
        Ok(Request {
            messages: input::messages(self.instructions.as_deref(), &self.input)?,
            tools,
            tool_choice: choice,
            parallel_tool_calls: self.parallel_tool_calls.unwrap_or(true),
            thinking: (effort == Some("none")).then_some(false),
            kwargs,
            ..Request::default()
        })
    }

    /// How tokens are chosen.
    pub fn sampling(&self) -> Sampling {
        let Self { temperature, top_p, .. } = *self;
        Sampling { temperature, top_p, ..Sampling::default() }
    }

    /// How much to generate.
    ///
    /// # Errors
    /// Negative numbers.
    pub fn generate(&self) -> Result<Generate, ApiError> {
        if self.max_output_tokens.is_some_and(|n| n < 0) {
            let message = "'max_output_tokens' must be 0 or more";
            return Err(ApiError::invalid(message).with("param", "max_output_tokens"));
        }
        Ok(Generate { max_tokens: self.max_output_tokens, ..Generate::default() })
    }

    /// What the answer must look like.
    ///
    /// # Errors
    /// Unknown formats.
    pub fn form(&self) -> Result<Form, ApiError> {
        let response_format = self.text.as_ref().map(|text| text.format.clone());
        FormFields { response_format, ..FormFields::default() }.form()
    }

    /// What a response repeats of its request.
    pub fn echo(&self) -> Value {
        let or = |value: &Value, default: Value| match value {
            Value::Null => default,
            value => value.clone(),
        };
        let format = self.text.as_ref().map_or(&Value::Null, |text| &text.format);
        let effort = self.reasoning.as_ref().and_then(|reasoning| reasoning.effort.as_ref());
        json!({
            "instructions": self.instructions,
            "max_output_tokens": self.max_output_tokens,
            "metadata": self.metadata.clone().unwrap_or_default(),
            "parallel_tool_calls": self.parallel_tool_calls.unwrap_or(true),
            "reasoning": { "effort": effort, "summary": null },
            "temperature": self.temperature,
            "text": { "format": or(format, json!({ "type": "text" })) },
            "tool_choice": or(&self.tool_choice, "auto".into()),
            "tools": self.tools.clone().unwrap_or_default(),
            "top_p": self.top_p,
            "user": self.user,
        })
    }
}

fn tool(value: &Value, i: usize) -> Result<Tool, ApiError> {
    let refused = |reason: &str| {
        let name = format!("tools[{i}]");
        ApiError::invalid(format!("'{name}' {reason}")).with("param", name)
    };
    match value.get("type").and_then(Value::as_str) {
        Some("function") => {}
        other => {
            let other = other.unwrap_or_default();
            return Err(refused(&format!("must be of type 'function', not '{other}'")));
        }
    }
    let OwnTool { name, description, parameters } =
        OwnTool::deserialize(value).map_err(|error| refused(&format!("is not valid: {error}")))?;
    let function = Function { name, description, parameters, ..Function::default() };
    Ok(Tool { kind: "function".into(), function, ..Tool::default() })
}

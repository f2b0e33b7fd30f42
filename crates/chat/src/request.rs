use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Message;

/// What a model is asked to continue.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// The functions that may be called.
    pub tools: Vec<Tool>,
    /// Whether functions may or must be called.
    pub tool_choice: ToolChoice,
    /// Whether one answer may call several functions.
    pub parallel_tool_calls: bool,
    /// Whether the prompt ends with what makes the assistant speak.
    pub add_generation_prompt: bool,
    /// Whether the model should think first, where the template leaves the choice.
    pub thinking: Option<bool>,
    /// What happens to thoughts in the answer.
    pub reasoning_format: ReasoningFormat,
    /// Texts that the template may put before the conversation, for models made for that.
    pub documents: Option<Value>,
    /// More variables for the template; they go before all others of the same name.
    pub kwargs: Map<String, Value>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: true,
            add_generation_prompt: true,
            thinking: None,
            reasoning_format: ReasoningFormat::Apart,
            documents: None,
            kwargs: Map::new(),
        }
    }
}

impl Request {
    /// Asks for an answer to `messages`.
    pub fn new(messages: Vec<Message>) -> Self {
        Self { messages, ..Self::default() }
    }
}

/// A function that a model may call, as in the OpenAI API.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Tool {
    /// `function`.
    #[serde(rename = "type", default = "function")]
    pub kind: String,
    /// The function.
    pub function: Function,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What a model is told of a function.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Function {
    /// The function's name.
    pub name: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON schema of its arguments, an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

fn function() -> String {
    "function".into()
}

/// Whether an answer may or must call functions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ToolChoice {
    /// The model chooses.
    #[default]
    Auto,
    /// None is called.
    None,
    /// At least one is called.
    Required,
    /// The one of this name is called.
    Function(String),
}

/// What happens to a model's thoughts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReasoningFormat {
    /// They come apart from the content: llama.cpp's `auto`, `deepseek` and, as its parsers make no
    /// difference any more, `deepseek-legacy`.
    #[default]
    Apart,
    /// They stay in the content, with their tags: llama.cpp's `none`.
    InContent,
}

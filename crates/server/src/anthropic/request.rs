//! What clients send, and how it becomes a conversation.

use chat::{
    Content, Function, FunctionCall, Message, ReasoningFormat, Request, Tool, ToolCall, ToolChoice,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::ApiError;
use crate::form::Form;
use crate::generate::{Generate, Stops};
use crate::sampling::Sampling;
use crate::turn::unreadable;

/// The fields of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Fields {
    pub model: Option<String>,
    pub max_tokens: Option<i64>,
    messages: Vec<Spoken>,
    system: Value,
    stop_sequences: Option<Vec<String>>,
    pub stream: Option<bool>,
    temperature: Option<f32>,
    top_k: Option<i64>,
    top_p: Option<f32>,
    tools: Option<Vec<Value>>,
    tool_choice: Option<Choice>,
    thinking: Option<Thinking>,
    output_config: Option<OutputConfig>,
    output_format: Value,
}

#[derive(Debug, Deserialize)]
struct Spoken {
    role: String,
    content: Value,
}

/// A function; tools of other types are run by Anthropic.
#[derive(Debug, Deserialize)]
struct OwnTool {
    name: String,
    description: Option<String>,
    input_schema: Value,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Choice {
    Auto { disable_parallel_tool_use: Option<bool> },
    Any { disable_parallel_tool_use: Option<bool> },
    Tool { name: String, disable_parallel_tool_use: Option<bool> },
    None,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Thinking {
    Enabled,
    Adaptive,
    Disabled,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputConfig {
    format: Value,
}

/// A part of a message.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        text: String,
    },
    Thinking {
        thinking: String,
    },
    RedactedThinking,
    ToolUse {
        id: String,
        name: String,
        input: Value,
    },
    ToolResult {
        tool_use_id: String,
        #[serde(default)]
        content: Value,
    },
    Image,
    Document,
}

impl Fields {
    /// The conversation to continue.
    ///
    /// # Errors
    /// What is not well-formed, and content that models here can't read.
    pub fn conversation(&self) -> Result<Request, ApiError> {
        if self.messages.is_empty() {
            return Err(refuse("messages", "must be a list of at least one message"));
        }
        let mut messages = Vec::new();
        let system = text_of(&self.system, "system")?;
        if !system.is_empty() {
            messages.push(Message::new("system", system));
        }
        for (i, spoken) in self.messages.iter().enumerate() {
            let blocks = blocks(&spoken.content, &format!("messages.{i}.content"))?;
            match spoken.role.as_str() {
                "user" => add_user(&mut messages, blocks, i)?,
                "assistant" => messages.push(assistant(blocks, i)?),
                _ => {
                    let name = format!("messages.{i}.role");
                    return Err(refuse(&name, "must be 'user' or 'assistant'"));
                }
            }
        }
        let tools = self.tools.iter().flatten().enumerate();
        let tools: Vec<Tool> = tools.map(|(i, value)| tool(value, i)).collect::<Result<_, _>>()?;
        let (tool_choice, single) = match &self.tool_choice {
            None => (ToolChoice::Auto, None),
            Some(Choice::None) => (ToolChoice::None, None),
            Some(Choice::Auto { disable_parallel_tool_use }) => {
                (ToolChoice::Auto, *disable_parallel_tool_use)
            }
            Some(Choice::Any { disable_parallel_tool_use }) => {
                (ToolChoice::Required, *disable_parallel_tool_use)
            }
            Some(Choice::Tool { name, disable_parallel_tool_use }) => {
                (ToolChoice::Function(name.clone()), *disable_parallel_tool_use)
            }
        };
        if tools.is_empty() && tool_choice == ToolChoice::Required {
            return Err(refuse("tool_choice", "needs 'tools'"));
        }
        let thinks = matches!(self.thinking, Some(Thinking::Enabled | Thinking::Adaptive));
        Ok(Request {
            messages,
            tools,
            tool_choice,
            parallel_tool_calls: single != Some(true),
            // As in the API: nobody who doesn't ask for thoughts gets any.
            thinking: Some(thinks),
            reasoning_format: ReasoningFormat::Apart,
            ..Request::default()
        })
    }

    /// How tokens are chosen.
    pub fn sampling(&self) -> Sampling {
        let Self { temperature, top_k, top_p, .. } = *self;
        Sampling { temperature, top_k, top_p, ..Sampling::default() }
    }

    /// How much to generate.
    ///
    /// # Errors
    /// No limit, as the API wants one.
    pub fn generate(&self) -> Result<Generate, ApiError> {
        let limit = self.max_tokens.filter(|&n| n > 0);
        let limit = limit.ok_or_else(|| refuse("max_tokens", "must be a number above 0"))?;
        Ok(Generate {
            max_tokens: Some(limit),
            stop: self.stop_sequences.clone().map(Stops::Several),
            ..Generate::default()
        })
    }

    /// What the answer must look like.
    ///
    /// # Errors
    /// Formats other than JSON schemas.
    pub fn form(&self) -> Result<Form, ApiError> {
        let format = self.output_config.as_ref().map(|config| &config.format);
        let format = format.filter(|format| !format.is_null()).unwrap_or(&self.output_format);
        match (format, format.get("type").and_then(Value::as_str)) {
            (Value::Null, _) => Ok(Form::Free),
            (_, Some("json_schema")) => {
                let schema = format.get("schema").unwrap_or(&Value::Null);
                Form::schema(schema, "output_config.format.schema")
            }
            _ => Err(refuse("output_config.format", "must be of type 'json_schema'")),
        }
    }

    /// Whether `text` is one of the texts that end the answer.
    pub fn is_stop(&self, text: &str) -> bool {
        self.stop_sequences.iter().flatten().any(|stop| stop == text)
    }
}

fn refuse(name: &str, expected: &str) -> ApiError {
    ApiError::invalid(format!("{name}: {expected}")).with("param", name)
}

fn parse<T: DeserializeOwned>(value: &Value, name: &str) -> Result<T, ApiError> {
    T::deserialize(value).map_err(|error| refuse(name, &error.to_string()))
}

/// Text is a block, too.
fn blocks(value: &Value, name: &str) -> Result<Vec<Block>, ApiError> {
    match value {
        Value::String(text) => Ok(vec![Block::Text { text: text.clone() }]),
        Value::Array(blocks) => {
            let block = |(i, block)| parse(block, &format!("{name}.{i}"));
            blocks.iter().enumerate().map(block).collect()
        }
        _ => Err(refuse(name, "must be text or a list of blocks")),
    }
}

/// The texts of blocks, a line each; nothing for null.
fn text_of(value: &Value, name: &str) -> Result<String, ApiError> {
    if value.is_null() {
        return Ok(String::new());
    }
    let text = |block| match block {
        Block::Text { text } => Ok(text),
        Block::Image => Err(unreadable("image")),
        Block::Document => Err(unreadable("document")),
        _ => Err(refuse(name, "must have blocks of text only")),
    };
    let texts: Vec<String> =
        blocks(value, name)?.into_iter().map(text).collect::<Result<_, _>>()?;
    Ok(texts.join("\n"))
}

/// Results of tools are messages of their own, before what the user says.
fn add_user(messages: &mut Vec<Message>, blocks: Vec<Block>, i: usize) -> Result<(), ApiError> {
    let mut texts = Vec::new();
    let mut has_results = false;
    for block in blocks {
        match block {
            Block::Text { text } => texts.push(text),
            Block::ToolResult { tool_use_id, content } => {
                has_results = true;
                let text = text_of(&content, &format!("messages.{i}.content of '{tool_use_id}'"))?;
                messages.push(Message {
                    tool_call_id: Some(tool_use_id),
                    ..Message::new("tool", text)
                });
            }
            Block::Image => return Err(unreadable("image")),
            Block::Document => return Err(unreadable("document")),
            Block::Thinking { .. } | Block::RedactedThinking | Block::ToolUse { .. } => {
                let name = format!("messages.{i}.content");
                return Err(refuse(&name, "only the assistant thinks and uses tools"));
            }
        }
    }
    if !texts.is_empty() || !has_results {
        messages.push(Message::new("user", texts.join("\n")));
    }
    Ok(())
}

fn assistant(blocks: Vec<Block>, i: usize) -> Result<Message, ApiError> {
    let (mut texts, mut thoughts, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for block in blocks {
        match block {
            Block::Text { text } => texts.push(text),
            Block::Thinking { thinking } => thoughts.push(thinking),
            Block::RedactedThinking => {}
            Block::ToolUse { id, name, input } => calls.push(ToolCall {
                id: Some(id),
                kind: "function".into(),
                function: FunctionCall { name, arguments: input },
                ..ToolCall::default()
            }),
            Block::ToolResult { .. } | Block::Image | Block::Document => {
                let name = format!("messages.{i}.content");
                return Err(refuse(&name, "the assistant brings text, thoughts and uses of tools"));
            }
        }
    }
    let content = if texts.is_empty() { Content::Null } else { Content::Text(texts.join("\n")) };
    Ok(Message {
        role: "assistant".into(),
        content,
        reasoning_content: (!thoughts.is_empty()).then(|| thoughts.join("\n")),
        tool_calls: (!calls.is_empty()).then_some(calls),
        ..Message::default()
    })
}

fn tool(value: &Value, i: usize) -> Result<Tool, ApiError> {
    let name = format!("tools.{i}");
    match value.get("type").and_then(Value::as_str) {
        None | Some("custom") => {}
        Some(other) => {
            return Err(refuse(&name, &format!("there are no tools of type '{other}' here")));
        }
    }
    let OwnTool { name, description, input_schema } = parse(value, &name)?;
    let function =
        Function { name, description, parameters: Some(input_schema), ..Function::default() };
    Ok(Tool { kind: "function".into(), function, ..Tool::default() })
}

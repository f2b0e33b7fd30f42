use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One message of a conversation, as in the OpenAI API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks: `system`, `user`, `assistant`, `tool`, …
    pub role: String,
    /// What is said.
    #[serde(default)]
    pub content: Content,
    /// All other fields, such as `tool_calls` and `reasoning_content`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The content of a message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// None, as in messages that only call tools.
    #[default]
    Null,
    /// Text.
    Text(String),
    /// Parts with a `type`: text, images, sound.
    Parts(Vec<Map<String, Value>>),
}

impl Message {
    /// A message of text.
    pub fn new(role: impl Into<String>, text: impl Into<String>) -> Self {
        Self { role: role.into(), content: Content::Text(text.into()), extra: Map::new() }
    }
}

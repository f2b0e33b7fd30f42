//! Text to tokens and back, conversations to text.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::App;
use crate::body::Body;
use crate::error::ApiError;
use crate::form::Form;
use crate::openai::chat::{self, ChatBody};
use crate::probabilities::bytes_of;
use crate::{prompt, turn};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tokenize {
    model: Option<String>,
    content: Value,
    add_special: bool,
    parse_special: Option<bool>,
    with_pieces: bool,
}

/// `/tokenize`.
pub async fn tokenize(State(app): State<App>, body: Body) -> Result<Json<Value>, ApiError> {
    let fields: Tokenize = body.parse()?;
    let model = app.models().get(fields.model.as_deref()).await?;
    let tokenizer = model.engine().tokenizer();
    let tokens = match &fields.content {
        Value::Null => Vec::new(),
        Value::String(text) => {
            tokenizer.encode(text, fields.add_special, fields.parse_special.unwrap_or(true))
        }
        mixed => prompt::one(mixed, tokenizer)?,
    };
    if !fields.with_pieces {
        return Ok(Json(json!({ "tokens": tokens })));
    }
    let piece = |&id: &u32| {
        // Part of a character is given as bytes.
        let piece = match String::from_utf8(bytes_of(tokenizer, id)) {
            Ok(text) => Value::from(text),
            Err(error) => error.into_bytes().into(),
        };
        json!({ "id": id, "piece": piece })
    };
    Ok(Json(json!({ "tokens": tokens.iter().map(piece).collect::<Vec<_>>() })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Detokenize {
    model: Option<String>,
    tokens: Vec<u32>,
}

/// `/detokenize`.
pub async fn detokenize(State(app): State<App>, body: Body) -> Result<Json<Value>, ApiError> {
    let fields: Detokenize = body.parse()?;
    let model = app.models().get(fields.model.as_deref()).await?;
    let text = model.engine().tokenizer().decode(&fields.tokens, true);
    Ok(Json(json!({ "content": text })))
}

/// `/apply-template`: the prompt of a chat.
pub async fn apply_template(State(app): State<App>, body: Body) -> Result<Json<Value>, ApiError> {
    let fields: ChatBody = body.parse()?;
    let model = app.models().get(fields.model.as_deref()).await?;
    let ready = turn::prepare(&model, chat::request(fields)?, Form::Free).await?;
    Ok(Json(json!({ "prompt": ready.prompt.text })))
}

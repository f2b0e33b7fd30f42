//! `/v1/chat/completions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chat::{Delta, Message, ReasoningFormat, Request, Tool, ToolChoice};
use engine::{Choice, Outcome};
use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::now;
use crate::body::Body;
use crate::client::ClientId;
use crate::error::ApiError;
use crate::form::FormFields;
use crate::generate::{
    Generate, MOST_ANSWERS, apart, finish_reason, prompt_progress, timings, usage,
};
use crate::models::Loaded;
use crate::sampling::Sampling;
use crate::sse::{self, Gone, Pieces};
use crate::turn::{Answer, Call, Step, Turn, prepare};
use crate::{App, ids, probabilities};

/// The fields of a chat that are about neither sampling nor length.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ChatBody {
    /// The model to ask.
    pub model: Option<String>,
    /// The conversation.
    pub messages: Vec<Message>,
    /// Functions that may be called.
    pub tools: Option<Vec<Tool>>,
    /// `none`, `auto`, `required` or a function.
    pub tool_choice: Option<Value>,
    /// Whether an answer may call several functions.
    pub parallel_tool_calls: Option<bool>,
    /// Number of answers.
    pub n: Option<usize>,
    /// Whether probabilities are reported.
    pub logprobs: Option<bool>,
    /// Of how many tokens.
    pub top_logprobs: Option<usize>,
    /// What a stream brings besides the answer.
    pub stream_options: Option<StreamOptions>,
    /// `none` leaves thoughts in the content.
    pub reasoning_format: Option<String>,
    /// Effort to think: `none` turns it off.
    pub reasoning_effort: Option<String>,
    /// More variables for the template.
    pub chat_template_kwargs: Option<Map<String, Value>>,
    /// Whether the template begins the answer.
    pub add_generation_prompt: Option<bool>,
    /// Texts that the template may put before the conversation.
    pub documents: Option<Value>,
}

/// What a stream brings besides the answer.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub struct StreamOptions {
    /// A last piece with the number of tokens.
    pub include_usage: bool,
}

/// What the body asks of the template.
///
/// # Errors
/// No messages, and an unknown `tool_choice`.
pub fn request(body: ChatBody) -> Result<Request, ApiError> {
    if body.messages.is_empty() {
        return Err(ApiError::invalid("'messages' must be a list of at least one message")
            .with("param", "messages"));
    }
    let mut kwargs = body.chat_template_kwargs.unwrap_or_default();
    let thinking = kwargs.get("enable_thinking").and_then(Value::as_bool);
    let effort = body.reasoning_effort.as_deref();
    if let Some(effort) = effort {
        kwargs.entry("reasoning_effort").or_insert_with(|| effort.into());
    }
    let in_content = body.reasoning_format.as_deref() == Some("none");
    let tools = body.tools.unwrap_or_default();
    let choice = tool_choice(body.tool_choice.as_ref(), &tools)?;
    Ok(Request {
        messages: body.messages,
        tools,
        tool_choice: choice,
        parallel_tool_calls: body.parallel_tool_calls.unwrap_or(true),
        add_generation_prompt: body.add_generation_prompt.unwrap_or(true),
        thinking: thinking.or((effort == Some("none")).then_some(false)),
        reasoning_format: match in_content {
            true => ReasoningFormat::InContent,
            false => ReasoningFormat::Apart,
        },
        documents: body.documents,
        kwargs,
    })
}

/// What `tool_choice` says of these tools; OpenAI's two APIs write it in different ways.
///
/// # Errors
/// Anything unknown, and calls that must be without tools.
pub fn tool_choice(value: Option<&Value>, tools: &[Tool]) -> Result<ToolChoice, ApiError> {
    let refused = |expected: &str| {
        ApiError::invalid(format!("'tool_choice' {expected}")).with("param", "tool_choice")
    };
    let unknown = || refused("must be 'none', 'auto', 'required' or a function by its name");
    let choice = match value {
        None | Some(Value::Null) => ToolChoice::Auto,
        Some(Value::String(choice)) => match choice.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => return Err(unknown()),
        },
        Some(choice) => {
            let name = choice.pointer("/function/name").or(choice.get("name"));
            let name = name.and_then(Value::as_str).ok_or_else(unknown)?;
            ToolChoice::Function(name.into())
        }
    };
    match choice {
        ToolChoice::Required if tools.is_empty() => Err(refused("needs 'tools'")),
        choice => Ok(choice),
    }
}

/// Answers a conversation.
pub async fn complete(
    State(app): State<App>,
    client: ClientId,
    body: Body,
) -> Result<Response, ApiError> {
    let chat: ChatBody = body.parse()?;
    let (generate, sampling): (Generate, Sampling) = (body.parse()?, body.parse()?);
    let form = body.parse::<FormFields>()?.form()?;
    let model = app.models().get(chat.model.as_deref()).await?;
    let n = chat.n.unwrap_or(1);
    if n == 0 || n > MOST_ANSWERS {
        let message = format!("'n' must be from 1 to {MOST_ANSWERS}");
        return Err(ApiError::invalid(message).with("param", "n"));
    }
    let mut params = sampling.params(model.sampling(), model.engine().tokenizer())?;
    if chat.logprobs == Some(true) {
        params.n_probs = chat.top_logprobs.unwrap_or(0).clamp(1, 20);
    }
    let header = Header { id: ids::fresh("chatcmpl-"), created: now(), model: model.clone() };
    let with_usage = chat.stream_options.unwrap_or_default().include_usage;
    let ready = prepare(&model, request(chat)?, form).await?;
    let mut turns = Vec::with_capacity(n);
    for params in apart(&params, n) {
        let limit = app.config().limit;
        let request = generate.request(&model, ready.tokens.clone(), params, client, limit)?;
        turns.push(Turn::start(&model, &ready, request)?);
    }
    if generate.stream == Some(true) {
        let options = Options { with_usage, generate };
        return Ok(sse::events(|pieces| stream(pieces, header, turns, options)));
    }
    let answers = try_join_all(turns.into_iter().map(Turn::whole)).await?;
    Ok(Json(header.whole(&answers)).into_response())
}

/// What all pieces of an answer say.
struct Header {
    id: String,
    created: u64,
    model: Arc<Loaded>,
}

impl Header {
    fn object(&self, object: &str, choices: Value) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model.name(),
            "system_fingerprint": concat!("llamafile-", env!("CARGO_PKG_VERSION")),
            "choices": choices,
        })
    }

    fn chunk(&self, choices: Value) -> Value {
        self.object("chat.completion.chunk", choices)
    }

    fn logprobs(&self, tokens: &[Choice]) -> Value {
        let content = probabilities::of(self.model.engine().tokenizer(), tokens, false);
        if content.is_empty() { Value::Null } else { json!({ "content": content }) }
    }

    fn whole(&self, answers: &[(Answer, Outcome)]) -> Value {
        let choice = |(index, (answer, outcome)): (usize, &(Answer, Outcome))| {
            let reason = match answer.calls.is_empty() {
                true => finish_reason(outcome.finish),
                false => "tool_calls",
            };
            json!({
                "index": index,
                "message": message(answer),
                "logprobs": self.logprobs(&answer.tokens),
                "finish_reason": reason,
            })
        };
        let choices = answers.iter().enumerate().map(choice).collect();
        let outcomes: Vec<Outcome> = answers.iter().map(|(_, outcome)| outcome.clone()).collect();
        let mut value = self.object("chat.completion", choices);
        value["usage"] = usage(&outcomes);
        if let [outcome] = outcomes.as_slice() {
            value["timings"] = timings(&outcome.stats);
        }
        value
    }
}

fn message(answer: &Answer) -> Value {
    let mut message = json!({ "role": "assistant", "content": answer.content });
    if !answer.reasoning.is_empty() {
        message["reasoning_content"] = answer.reasoning.clone().into();
    }
    if !answer.calls.is_empty() {
        if answer.content.is_empty() {
            message["content"] = Value::Null;
        }
        let call = |call: &Call| {
            let function = json!({ "name": call.name, "arguments": call.arguments });
            json!({ "id": call.id, "type": "function", "function": function })
        };
        message["tool_calls"] = answer.calls.iter().map(call).collect();
    }
    message
}

/// How an answer is streamed.
struct Options {
    with_usage: bool,
    generate: Generate,
}

async fn stream(
    pieces: Pieces,
    header: Header,
    turns: Vec<Turn>,
    options: Options,
) -> Result<(), Gone> {
    let streams = turns.into_iter().enumerate().map(|(index, turn)| {
        let choice = ChoiceStream { pieces: &pieces, header: &header, index, options: &options };
        choice.run(turn)
    });
    let outcomes = match try_join_all(streams).await {
        Ok(outcomes) => outcomes,
        Err(Broken::Gone) => return Err(Gone),
        Err(Broken::Error(error)) => return pieces.send(&error.openai()).await,
    };
    if options.with_usage {
        let mut last = header.chunk(json!([]));
        last["usage"] = usage(&outcomes);
        if let [outcome] = outcomes.as_slice() {
            last["timings"] = timings(&outcome.stats);
        }
        pieces.send(&last).await?;
    }
    pieces.end().await
}

/// Why a stream ends early.
enum Broken {
    Gone,
    Error(ApiError),
}

impl From<Gone> for Broken {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// One of the answers that are streamed together.
struct ChoiceStream<'a> {
    pieces: &'a Pieces,
    header: &'a Header,
    index: usize,
    options: &'a Options,
}

impl ChoiceStream<'_> {
    async fn run(self, mut turn: Turn) -> Result<Outcome, Broken> {
        let role = json!({ "role": "assistant", "content": null });
        self.pieces.send(&self.chunk(role, &[], None)).await?;
        // Tokens whose text is held back.
        let mut unsent = Vec::new();
        loop {
            match turn.next().await.map_err(Broken::Error)? {
                Step::Prompt(progress) => {
                    if self.options.generate.return_progress == Some(true) {
                        let mut piece = self.chunk(json!({}), &[], None);
                        piece["prompt_progress"] = prompt_progress(progress);
                        self.pieces.send(&piece).await?;
                    }
                }
                Step::Answer { deltas, tokens, stats } => {
                    unsent.extend(tokens);
                    for delta in deltas {
                        let tokens = std::mem::take(&mut unsent);
                        let mut piece = self.chunk(delta_json(&delta), &tokens, None);
                        if self.options.generate.timings_per_token == Some(true) {
                            piece["timings"] = timings(&stats);
                        }
                        self.pieces.send(&piece).await?;
                    }
                }
                Step::Done { deltas, outcome, calls } => {
                    for delta in deltas {
                        let tokens = std::mem::take(&mut unsent);
                        self.pieces.send(&self.chunk(delta_json(&delta), &tokens, None)).await?;
                    }
                    let reason = if calls { "tool_calls" } else { finish_reason(outcome.finish) };
                    let mut last = self.chunk(json!({}), &unsent, Some(reason));
                    last["timings"] = timings(&outcome.stats);
                    self.pieces.send(&last).await?;
                    return Ok(outcome);
                }
            }
        }
    }

    fn chunk(&self, delta: Value, tokens: &[Choice], reason: Option<&str>) -> Value {
        self.header.chunk(json!([{
            "index": self.index,
            "delta": delta,
            "logprobs": self.header.logprobs(tokens),
            "finish_reason": reason,
        }]))
    }
}

fn delta_json(delta: &Delta) -> Value {
    match delta {
        Delta::Content(text) => json!({ "content": text }),
        Delta::Reasoning(text) => json!({ "reasoning_content": text }),
        Delta::ToolCall { index, id, name } => {
            let function = json!({ "name": name, "arguments": "" });
            let call =
                json!({ "index": index, "id": id, "type": "function", "function": function });
            json!({ "tool_calls": [call] })
        }
        Delta::Arguments { index, fragment } => {
            let call = json!({ "index": index, "function": { "arguments": fragment } });
            json!({ "tool_calls": [call] })
        }
    }
}

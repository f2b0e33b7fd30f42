//! Answers as events: <https://docs.anthropic.com/en/docs/build-with-claude/streaming>.

use chat::Delta;
use engine::{Outcome, Stats};
use serde_json::{Value, json};

use super::messages::{Header, usage};
use crate::error::ApiError;
use crate::sse::{Gone, Pieces};
use crate::turn::{Step, Turn};

/// Sends an answer as it comes.
pub async fn stream(pieces: Pieces, header: Header, turn: Turn) -> Result<(), Gone> {
    let mut stream = Stream { pieces, header, block: None, n_blocks: 0, has_begun: false };
    match stream.run(turn).await {
        Ok(()) => Ok(()),
        Err(Broken::Gone) => Err(Gone),
        Err(Broken::Error(error)) => stream.pieces.send_event("error", &error.anthropic()).await,
    }
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

impl From<ApiError> for Broken {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

/// Kinds of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    ToolUse,
}

struct Stream {
    pieces: Pieces,
    header: Header,
    /// The block that is open.
    block: Option<Kind>,
    /// Blocks so far.
    n_blocks: usize,
    has_begun: bool,
}

impl Stream {
    async fn run(&mut self, mut turn: Turn) -> Result<(), Broken> {
        loop {
            match turn.next().await? {
                Step::Prompt(progress) => {
                    let (prompt_tokens, cached_tokens) =
                        (progress.total - progress.cached, progress.cached);
                    let stats = Stats { prompt_tokens, cached_tokens, ..Stats::default() };
                    self.begin(&stats).await?;
                }
                Step::Answer { deltas, stats, .. } => {
                    self.begin(&Stats { generated_tokens: 0, ..stats }).await?;
                    for delta in deltas {
                        self.add(delta).await?;
                    }
                }
                Step::Done { deltas, outcome, calls } => {
                    self.begin(&Stats { generated_tokens: 0, ..outcome.stats }).await?;
                    for delta in deltas {
                        self.add(delta).await?;
                    }
                    return Ok(self.end(&outcome, calls).await?);
                }
            }
        }
    }

    /// Sends the message's beginning, once its prompt is known.
    async fn begin(&mut self, stats: &Stats) -> Result<(), Gone> {
        if std::mem::replace(&mut self.has_begun, true) {
            return Ok(());
        }
        let message = self.header.message(Vec::new(), stats);
        self.send("message_start", json!({ "message": message })).await?;
        self.send("ping", json!({})).await
    }

    async fn add(&mut self, delta: Delta) -> Result<(), Gone> {
        let delta = match delta {
            Delta::Content(text) => {
                let empty = json!({ "type": "text", "text": "" });
                self.go_on(Kind::Text, empty).await?;
                json!({ "type": "text_delta", "text": text })
            }
            Delta::Reasoning(text) => {
                let empty = json!({ "type": "thinking", "thinking": "", "signature": "" });
                self.go_on(Kind::Thinking, empty).await?;
                json!({ "type": "thinking_delta", "thinking": text })
            }
            Delta::ToolCall { id, name, .. } => {
                let empty = json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
                return self.open(Kind::ToolUse, empty).await;
            }
            Delta::Arguments { fragment, .. } => {
                json!({ "type": "input_json_delta", "partial_json": fragment })
            }
        };
        self.delta(delta).await
    }

    /// Goes on with a block of this kind, or begins one.
    async fn go_on(&mut self, kind: Kind, empty: Value) -> Result<(), Gone> {
        if self.block == Some(kind) { Ok(()) } else { self.open(kind, empty).await }
    }

    async fn open(&mut self, kind: Kind, empty: Value) -> Result<(), Gone> {
        self.close().await?;
        self.block = Some(kind);
        let event = json!({ "index": self.n_blocks, "content_block": empty });
        self.send("content_block_start", event).await
    }

    async fn delta(&self, delta: Value) -> Result<(), Gone> {
        let event = json!({ "index": self.n_blocks, "delta": delta });
        self.send("content_block_delta", event).await
    }

    async fn close(&mut self) -> Result<(), Gone> {
        let Some(kind) = self.block.take() else { return Ok(()) };
        if kind == Kind::Thinking {
            // Nothing is signed here; clients keep what they get.
            self.delta(json!({ "type": "signature_delta", "signature": "" })).await?;
        }
        self.send("content_block_stop", json!({ "index": self.n_blocks })).await?;
        self.n_blocks += 1;
        Ok(())
    }

    async fn end(&mut self, outcome: &Outcome, calls: bool) -> Result<(), Gone> {
        self.close().await?;
        let (reason, stop) = self.header.stop(outcome, calls);
        let delta = json!({ "stop_reason": reason, "stop_sequence": stop });
        let event = json!({ "delta": delta, "usage": usage(&outcome.stats) });
        self.send("message_delta", event).await?;
        self.send("message_stop", json!({})).await
    }

    /// Sends an event; its type is also part of its data.
    async fn send(&self, name: &'static str, mut event: Value) -> Result<(), Gone> {
        event["type"] = name.into();
        self.pieces.send_event(name, &event).await
    }
}

//! One answer in a conversation.

use std::sync::Arc;

use chat::{Content, Delta, Message, Parser, Prompt, ToolChoice};
use engine::{Choice, Event, Outcome, Progress, Request, Stats};
use grammar::Grammar;

use crate::error::{ApiError, Kind};
use crate::form::Form;
use crate::generation::Generation;
use crate::models::Loaded;

/// One answer in a conversation, taken apart as it comes.
pub struct Turn {
    generation: Generation,
    parser: Parser,
    n_calls: usize,
    /// How ids of calls begin.
    ids: &'static str,
}

/// What comes of an answer.
pub enum Step {
    /// Part of the prompt was evaluated.
    Prompt(Progress),
    /// The answer has grown, though there may be no parts yet.
    Answer {
        /// What was added.
        deltas: Vec<Delta>,
        /// The tokens chosen.
        tokens: Vec<Choice>,
        /// Work so far.
        stats: Stats,
    },
    /// It is complete.
    Done {
        /// The last parts.
        deltas: Vec<Delta>,
        /// How it ended.
        outcome: Outcome,
        /// Whether functions are called.
        calls: bool,
    },
}

/// A whole answer.
#[derive(Debug, Default)]
pub struct Answer {
    /// What is said.
    pub content: String,
    /// What was thought before.
    pub reasoning: String,
    /// Functions called: id, name, arguments as JSON text.
    pub calls: Vec<Call>,
    /// All tokens.
    pub tokens: Vec<Choice>,
}

/// A call of a function.
#[derive(Debug, Default, Clone)]
pub struct Call {
    /// What the result refers to.
    pub id: String,
    /// The function.
    pub name: String,
    /// JSON text.
    pub arguments: String,
}

impl Turn {
    /// Asks for an answer to a prompt with a request for its tokens.
    ///
    /// # Errors
    /// Prompts that don't fit the context, and more requests than may wait.
    pub fn start(model: &Loaded, ready: &Ready, mut request: Request) -> Result<Self, ApiError> {
        let (tokenizer, prompt) = (model.engine().tokenizer(), &ready.prompt);
        request.stops.extend(prompt.stops.iter().cloned());
        request.visible = prompt.special.iter().filter_map(|text| tokenizer.find(text)).collect();
        request.grammar.clone_from(&ready.grammar);
        let parser = prompt.parser.clone();
        let generation = Generation::start(model, request)?;
        Ok(Self { generation, parser, n_calls: 0, ids: "call_" })
    }

    /// With ids of calls that begin with `prefix`.
    #[must_use]
    pub fn with_ids(self, prefix: &'static str) -> Self {
        Self { ids: prefix, ..self }
    }

    /// What comes next; [`Step::Done`] is the last.
    ///
    /// # Errors
    /// The engine's.
    pub async fn next(&mut self) -> Result<Step, ApiError> {
        match self.generation.next().await? {
            Event::Prompt(progress) => Ok(Step::Prompt(progress)),
            Event::Text { text, tokens, stats } => {
                let deltas = self.parser.push(&text);
                Ok(Step::Answer { deltas: self.named(deltas), tokens, stats })
            }
            Event::Done(outcome) => {
                let (deltas, _) = self.parser.finish();
                let deltas = self.named(deltas);
                Ok(Step::Done { deltas, outcome, calls: self.n_calls > 0 })
            }
            Event::Failed(error) => Err(error.into()),
            // Nobody asked for them.
            Event::Vectors(_) => Err(engine::Error::Stopped.into()),
        }
    }

    /// Gives calls the ids that models don't give them.
    fn named(&mut self, mut deltas: Vec<Delta>) -> Vec<Delta> {
        for delta in &mut deltas {
            if let Delta::ToolCall { id, .. } = delta {
                self.n_calls += 1;
                id.get_or_insert_with(|| crate::ids::fresh(self.ids));
            }
        }
        deltas
    }

    /// Waits for the whole answer.
    ///
    /// # Errors
    /// The engine's.
    pub async fn whole(mut self) -> Result<(Answer, Outcome), ApiError> {
        let mut answer = Answer::default();
        loop {
            match self.next().await? {
                Step::Prompt(_) => {}
                Step::Answer { deltas, tokens, .. } => {
                    answer.add(deltas);
                    answer.tokens.extend(tokens);
                }
                Step::Done { deltas, outcome, .. } => {
                    answer.add(deltas);
                    return Ok((answer, outcome));
                }
            }
        }
    }
}

impl Answer {
    fn add(&mut self, deltas: Vec<Delta>) {
        for delta in deltas {
            match delta {
                Delta::Content(text) => self.content += &text,
                Delta::Reasoning(text) => self.reasoning += &text,
                Delta::ToolCall { id, name, .. } => {
                    let id = id.unwrap_or_default();
                    self.calls.push(Call { id, name, arguments: String::new() });
                }
                Delta::Arguments { index, fragment } => {
                    if let Some(call) = self.calls.get_mut(index) {
                        call.arguments += &fragment;
                    }
                }
            }
        }
    }
}

/// What a model is given for an answer.
pub struct Ready {
    /// The conversation as text, and how to understand the answer.
    pub prompt: Prompt,
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// What the answer is held to.
    pub grammar: Option<Grammar>,
}

/// Renders and tokenises a conversation, away from the threads that serve clients. Where the
/// assistant spoke last, it goes on with that message.
///
/// # Errors
/// What the template refuses, images and sound, and forms that answers can't have.
pub async fn prepare(
    model: &Arc<Loaded>,
    mut request: chat::Request,
    form: Form,
) -> Result<Ready, ApiError> {
    readable(&request.messages)?;
    if form != Form::Free {
        request.thinking.get_or_insert(false);
    }
    let model = model.clone();
    let work = move || {
        let begun = take_begun(&mut request)?;
        let mut prompt = model.chat()?.prompt(&request)?;
        let must_call =
            matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Function(_));
        if must_call && prompt.constraint.is_none() {
            let message = "this model can't be made to call functions";
            return Err(ApiError::new(Kind::Unsupported, message).with("param", "tool_choice"));
        }
        let grammar = form.grammar(model.engine(), Some(&prompt))?;
        prompt.text += &begun;
        let tokens = model.engine().chat_tokens(&prompt.text);
        Ok(Ready { prompt, tokens, grammar })
    };
    let failed = |_| ApiError::new(Kind::Internal, "the prompt can't be made");
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

/// What to say of a part of a message that is no text.
pub fn unreadable(kind: &str) -> ApiError {
    ApiError::invalid(format!("this model reads only text: it can't take content of type '{kind}'"))
        .with("param", "messages")
}

fn readable(messages: &[Message]) -> Result<(), ApiError> {
    const MEDIA: [&str; 8] = [
        "image",
        "image_url",
        "input_image",
        "input_audio",
        "audio_url",
        "video_url",
        "input_video",
        "file",
    ];
    for message in messages {
        let Content::Parts(parts) = &message.content else { continue };
        if let Some(part) = parts.iter().find(|part| MEDIA.contains(&part.kind.as_str())) {
            return Err(unreadable(&part.kind));
        }
    }
    Ok(())
}

/// Takes the last message away where it is the beginning of the answer.
fn take_begun(request: &mut chat::Request) -> Result<String, ApiError> {
    let is_begun = |message: &Message| {
        message.role == "assistant"
            && message.tool_calls.as_ref().is_none_or(Vec::is_empty)
            && message.reasoning_content.is_none()
    };
    let Some((last, others)) = request.messages.split_last() else { return Ok(String::new()) };
    let text = last.content.to_text();
    if !request.add_generation_prompt || !is_begun(last) || text.is_empty() || others.is_empty() {
        return Ok(String::new());
    }
    if others.last().is_some_and(|message| message.role == "assistant") {
        return Err(ApiError::invalid("the conversation ends with two messages of the assistant")
            .with("param", "messages"));
    }
    request.messages.pop();
    Ok(text)
}

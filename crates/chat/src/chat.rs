use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::format::{Format, known, probe};
use crate::parser::Signature;
use crate::{
    Capabilities, Constraint, Error, Parser, ReasoningFormat, Request, Template, Tool, ToolChoice,
    adapt, generic,
};

/// A model's way to chat: its template, what that can take, and how answers are written.
#[derive(Debug)]
pub struct Chat {
    template: Template,
    capabilities: Capabilities,
    format: Arc<Format>,
}

/// What a model is given, and how its answer is understood.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// The text, special tokens included.
    pub text: String,
    /// Takes the answer apart.
    pub parser: Parser,
    /// What the answer must look like.
    pub constraint: Option<Constraint>,
    /// Texts that end the answer, besides the model's own tokens.
    pub stops: Vec<String>,
    /// Texts that must be in the answer's text for the parser, though they may be special tokens.
    pub special: Vec<String>,
}

impl Chat {
    /// Compiles a template, and finds out what it can do; the tokens are those that it may write
    /// around the text.
    ///
    /// # Errors
    /// [`Error::Parse`] when `source` is not valid Jinja.
    pub fn new(source: &str, bos_token: &str, eos_token: &str) -> Result<Self, Error> {
        Ok(Self::from_template(Template::new(source, bos_token, eos_token)?))
    }

    /// As [`Chat::new`], of a compiled template.
    pub fn from_template(template: Template) -> Self {
        let capabilities = Capabilities::probe(&template);
        let format = known::find(template.source());
        let format = format.or_else(|| probe::find(&template, &capabilities));
        let mut format = format.unwrap_or_default();
        if format.calls.is_none() {
            format.calls = Some(generic::calls());
            format.name = generic::NAME;
        }
        Self { template, capabilities, format: Arc::new(format) }
    }

    /// The template.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// What the template can take.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// What the model's way to write calls is called.
    pub fn format_name(&self) -> &'static str {
        self.format.name
    }

    /// Whether thoughts can be told from content.
    pub fn has_reasoning(&self) -> bool {
        let channels = self.format.channels.is_some();
        channels || self.format.reasoning.is_some()
    }

    /// The prompt for a request.
    ///
    /// # Errors
    /// [`Error::Raised`] when the template refuses the messages, [`Error::UnknownFunction`] when
    /// the function that must be called is none of the tools; see [`Error`] for others.
    pub fn prompt(&self, request: &Request) -> Result<Prompt, Error> {
        let tools = match &request.tool_choice {
            ToolChoice::None => &[],
            _ => request.tools.as_slice(),
        };
        let text = self.render(request)?;
        let functions = functions(tools, &request.tool_choice)?;
        let primed = if request.add_generation_prompt { self.primed(&text) } else { "" };
        let apart = request.reasoning_format == ReasoningFormat::Apart;
        let parser = Parser::new(Arc::clone(&self.format), functions.clone(), apart, primed);
        let constraint = self.constraint(request, &functions, &parser, &text, primed);
        Ok(Prompt {
            parser,
            constraint,
            stops: self.format.stops.clone(),
            special: self.format.markers(),
            text,
        })
    }

    fn render(&self, request: &Request) -> Result<String, Error> {
        let mut messages = adapt::messages(&request.messages, &self.template, &self.capabilities);
        let mut variables = Map::new();
        if !request.tools.is_empty() {
            let tools = json!(request.tools);
            if let Some(calls) = self.format.calls.as_ref().filter(|_| !self.capabilities.tools) {
                generic::describe(&tools, calls, &mut messages, &self.capabilities);
            }
            variables.insert("tools".into(), tools);
        }
        if let Some(calls) = self.format.calls.as_ref().filter(|_| !self.capabilities.tool_calls) {
            generic::write_calls(&mut messages, calls, &self.capabilities);
        }
        if let Some(documents) = &request.documents {
            variables.insert("documents".into(), documents.clone());
        }
        if let Some(thinking) = request.thinking {
            // DeepSeek and Granite call it so.
            variables.insert("thinking".into(), thinking.into());
        }
        variables.insert("enable_thinking".into(), request.thinking.unwrap_or(true).into());
        adapt::add_variables(&self.template, &mut variables);
        variables.insert("messages".into(), messages.into());
        variables.extend(request.kwargs.clone());
        self.template.render_with(&[], request.add_generation_prompt, &variables)
    }

    /// The end of a prompt from its last marker on, if only white space follows that.
    fn primed<'p>(&self, prompt: &'p str) -> &'p str {
        if let Some(channels) = &self.format.channels {
            return prompt.rfind(&channels.start).map_or("", |at| &prompt[at..]);
        }
        let reasoning = self.format.reasoning.iter().map(|reasoning| reasoning.open.as_str());
        let calls = self.format.calls.iter().map(|calls| calls.call_open.as_str());
        let mut markers = reasoning.chain(calls).map(str::trim).filter(|marker| !marker.is_empty());
        let trimmed = prompt.trim_end();
        markers
            .find(|marker| trimmed.ends_with(*marker))
            .map_or("", |marker| &prompt[trimmed.len() - marker.len()..])
    }

    fn constraint(
        &self,
        request: &Request,
        functions: &Arc<[Signature]>,
        parser: &Parser,
        prompt: &str,
        primed: &str,
    ) -> Option<Constraint> {
        let functions = Arc::clone(functions);
        if functions.is_empty() {
            return None;
        }
        let parallel = request.parallel_tool_calls;
        if request.tool_choice == ToolChoice::Auto {
            return Constraint::lazy(&self.format, functions, parallel);
        }
        let close = self.format.reasoning.as_ref().map(|reasoning| reasoning.close.trim());
        let has_thought = close.is_some_and(|close| prompt.trim_end().ends_with(close));
        let thinking = parser.is_thinking();
        Constraint::required(&self.format, functions, parallel, thinking, !has_thought, primed)
    }
}

/// The functions that may be called.
fn functions(tools: &[Tool], choice: &ToolChoice) -> Result<Arc<[Signature]>, Error> {
    let nothing = || json!({ "type": "object", "properties": {} });
    let is_empty = |schema: &Value| schema.as_object().is_none_or(Map::is_empty);
    let mut functions: Vec<Signature> = tools
        .iter()
        .map(|tool| Signature {
            name: tool.function.name.clone(),
            parameters: tool
                .function
                .parameters
                .clone()
                .filter(|s| !is_empty(s))
                .unwrap_or_else(nothing),
        })
        .collect();
    if let ToolChoice::Function(name) = choice {
        functions.retain(|function| function.name == *name);
        if functions.is_empty() {
            return Err(Error::UnknownFunction(name.clone()));
        }
    }
    Ok(functions.into())
}

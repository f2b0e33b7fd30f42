use std::fmt;
use std::sync::Arc;

use minijinja::machinery::{self, CompiledTemplate, TemplateConfig};
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment};
use serde::Serialize;
use serde_json::Map;

use crate::jinja;
use crate::{Error, Message};

/// The template of models that bring none.
pub const CHATML: &str = "\
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
";

/// Steps a template may take: a long conversation needs thousands.
const FUEL: u64 = 10_000_000;

/// How deep macros may call one another.
const RECURSION: usize = 200;

const NAME: &str = "chat_template";

/// A chat template, compiled.
///
/// Templates come from strangers: a runaway one fails with [`Error::TooLong`], and one that would
/// take all memory with [`Error::TooLarge`].
pub struct Template {
    environment: Environment<'static>,
    config: TemplateConfig,
    /// The source as minijinja takes it.
    plain: String,
    source: String,
    bos_token: String,
    eos_token: String,
    /// Seconds since 1970, UTC, where the time is not the machine's.
    time: Option<i64>,
}

impl Template {
    /// Compiles `source`; the tokens are those the template may write around the text.
    ///
    /// # Errors
    /// [`Error::Parse`] when `source` is not valid Jinja.
    pub fn new(source: &str, bos_token: &str, eos_token: &str) -> Result<Self, Error> {
        let invalid = |error: minijinja::Error| Error::Parse(error.to_string());
        let mut environment = jinja::environment().map_err(invalid)?;
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(RECURSION);
        let plain = jinja::assign_mutations(&jinja::plain_generation_tags(source));
        let config = TemplateConfig {
            syntax_config: jinja::syntax().map_err(invalid)?,
            default_auto_escape: Arc::new(|_| AutoEscape::None),
        };
        CompiledTemplate::new(NAME, &plain, &config).map_err(invalid)?;
        Ok(Self {
            environment,
            config,
            plain,
            source: source.to_owned(),
            bos_token: bos_token.to_owned(),
            eos_token: eos_token.to_owned(),
            time: None,
        })
    }

    /// Makes the template see this time (seconds since 1970, UTC) as now.
    #[must_use]
    pub fn at_time(mut self, seconds: i64) -> Self {
        jinja::set_clock(&mut self.environment, move || seconds);
        self.time = Some(seconds);
        self
    }

    /// The time that the template sees, as C's `strftime` writes it.
    pub(crate) fn now(&self, format: &str) -> String {
        jinja::strftime(format, self.time.unwrap_or_else(jinja::now))
    }

    /// The template's text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The token that ends texts.
    pub(crate) fn eos_token(&self) -> &str {
        &self.eos_token
    }

    /// The prompt for `messages`; `add_generation_prompt` appends what makes
    /// the model answer.
    ///
    /// # Errors
    /// [`Error::Raised`] when the template refuses the messages; see [`Error`] for others.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, Error> {
        self.render_with(messages, add_generation_prompt, &Map::new())
    }

    /// As [`Template::render`] with more variables, such as `tools` or
    /// `enable_thinking`; they go before all others of the same name.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_with(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        extra: &Map<String, serde_json::Value>,
    ) -> Result<String, Error> {
        let context = Context {
            messages,
            add_generation_prompt,
            bos_token: &self.bos_token,
            eos_token: &self.eos_token,
        };
        let context = minijinja::context! {
            ..Value::from(Serde(extra)),
            ..Value::from(Serde(context)),
        };
        let failed = |error| Error::rendering(error, FUEL);
        let mut compiled =
            CompiledTemplate::new(NAME, &self.plain, &self.config).map_err(failed)?;
        jinja::guard(&mut compiled);
        jinja::reset();
        let mut text = String::new();
        let mut output = machinery::make_string_output(&mut text);
        let CompiledTemplate { instructions, blocks, .. } = &compiled;
        let escape = AutoEscape::None;
        machinery::eval(&self.environment, instructions, context, blocks, &mut output, escape)
            .map_err(failed)?;
        Ok(text)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("source", &self.source).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Context<'a> {
    messages: &'a [Message],
    add_generation_prompt: bool,
    bos_token: &'a str,
    eos_token: &'a str,
}

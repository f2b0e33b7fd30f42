use minijinja::Environment;
use minijinja::value::{Serde, Value};
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
/// Templates come from strangers: a runaway one fails with [`Error::TooLong`].
/// Memory is not bounded: a template may double a string until there is none left.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
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
        environment
            .add_template_owned(NAME, jinja::plain_generation_tags(source))
            .map_err(invalid)?;
        Ok(Self {
            environment,
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
        let template = self.environment.get_template(NAME).map_err(failed)?;
        template.render(context).map_err(failed)
    }
}

#[derive(Serialize)]
struct Context<'a> {
    messages: &'a [Message],
    add_generation_prompt: bool,
    bos_token: &'a str,
    eos_token: &'a str,
}

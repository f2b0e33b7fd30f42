//! What both kinds of requests say besides their text.

use chat::ReasoningFormat;
use sample::Params;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::body::Body;
use crate::error::ApiError;
use crate::form::Form;
use crate::generate::{Generate, Stops};
use crate::models::Loaded;
use crate::sampling::Sampling;

/// What both kinds of requests say besides their text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Common {
    pub model: Option<String>,
    /// Whether the answer comes in pieces; it does unless told otherwise.
    pub stream: Option<bool>,
    /// `json` or a schema.
    format: Value,
    /// Whether to think, or how hard.
    think: Value,
    options: Option<Options>,
}

/// How tokens are chosen: most names are those of llama.cpp. Settings of memory and devices are the
/// server's; those of requests change nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Options {
    num_ctx: Option<i64>,
    num_predict: Option<i64>,
    stop: Option<Stops>,
}

/// The settings of a request, checked.
pub struct Settings {
    pub generate: Generate,
    pub params: Params,
    pub thinking: Thinking,
    pub form: Form,
}

/// What a request says of thoughts.
pub struct Thinking {
    /// Whether to think.
    pub wanted: Option<bool>,
    /// How hard.
    pub effort: Option<String>,
    /// Whether thoughts come apart from the content.
    pub format: ReasoningFormat,
}

/// The part of the body where sampling is set.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choosing {
    options: Option<Sampling>,
}

impl Common {
    /// The settings of this request to `model`.
    ///
    /// # Errors
    /// Values that make no sense, forms that can't be kept, and contexts larger than the server's.
    pub fn settings(&self, model: &Loaded, body: &Body) -> Result<Settings, ApiError> {
        let sampling = body.parse::<Choosing>()?.options.unwrap_or_default();
        let nothing = Options::default();
        let options = self.options.as_ref().unwrap_or(&nothing);
        let (wanted, n_ctx) = (options.num_ctx.unwrap_or(0), model.n_ctx());
        if usize::try_from(wanted).map_or(true, |wanted| wanted > n_ctx) {
            let message = format!(
                "'options.num_ctx' is {wanted}, but contexts here have {n_ctx} tokens; the server's \
                 --ctx-size sets that"
            );
            return Err(ApiError::invalid(message).with("n_ctx", n_ctx));
        }
        Ok(Settings {
            generate: Generate {
                // -2 is for all that the context has room for, as is -1 here.
                n_predict: options.num_predict.map(|n| if n == -2 { -1 } else { n }),
                stop: options.stop.clone(),
                ..Generate::default()
            },
            params: sampling.params(model.sampling(), model.engine().tokenizer())?,
            thinking: self.thinking()?,
            form: self.form()?,
        })
    }

    fn form(&self) -> Result<Form, ApiError> {
        match &self.format {
            Value::Null => Ok(Form::Free),
            Value::String(name) if name.is_empty() => Ok(Form::Free),
            Value::String(name) if name == "json" => Ok(Form::json_object()),
            schema @ Value::Object(_) => Form::schema(schema, "format"),
            _ => Err(ApiError::invalid("'format' must be \"json\" or a JSON schema")),
        }
    }

    fn thinking(&self) -> Result<Thinking, ApiError> {
        let format = ReasoningFormat::Apart;
        match &self.think {
            Value::Null => Ok(Thinking { wanted: None, effort: None, format }),
            Value::Bool(wanted) => Ok(Thinking { wanted: Some(*wanted), effort: None, format }),
            Value::String(effort) if ["low", "medium", "high"].contains(&effort.as_str()) => {
                Ok(Thinking { wanted: Some(true), effort: Some(effort.clone()), format })
            }
            _ => {
                let expected = "true, false, \"low\", \"medium\" or \"high\"";
                Err(ApiError::invalid(format!("'think' must be {expected}")))
            }
        }
    }
}

impl Thinking {
    /// Tells the template.
    pub fn apply(self, request: &mut chat::Request) {
        request.thinking = self.wanted;
        request.reasoning_format = self.format;
        let effort = self.effort.map(|effort| ("reasoning_effort".to_owned(), effort.into()));
        request.kwargs = Map::from_iter(effort);
    }
}

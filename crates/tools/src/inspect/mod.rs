//! What a model file has in it, what it takes to run, and what is wrong with it.

mod context;
mod language;
mod metadata;
mod page;
mod problems;
mod tensors;
mod text;

use gguf::{Gguf, Location};
use serde::Serialize;

use crate::bench::count;
use crate::{Error, file_type};

pub use context::{ContextMemory, ContextRow};
pub use language::{SpecialToken, TemplateFacts, TokenizerFacts};
pub use metadata::{Pair, full_value};
pub use problems::{Problem, Severity};
pub use tensors::{Group, TensorFacts};
pub use text::Paint;

/// All that was found in a model file.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// The file.
    pub path: String,
    /// Bytes of each file of the model.
    pub file_bytes: Vec<u64>,
    /// Version of the format.
    pub version: u32,
    /// `general.name`.
    pub name: Option<String>,
    /// `general.architecture`.
    pub architecture: Option<String>,
    /// Name of `general.file_type`.
    pub file_type: Option<String>,
    /// Values of all tensors.
    pub parameters: u64,
    /// Bytes of all tensors.
    pub tensor_bytes: u64,
    /// What is wrong, worst first.
    pub problems: Vec<Problem>,
    /// Tensors of each type, those that take most first.
    pub by_type: Vec<Group>,
    /// Tensors of each layer, and those outside.
    pub by_layer: Vec<Group>,
    /// The memory that contexts take; `None` for models that can't be run here.
    pub context: Option<ContextMemory>,
    /// The tokenizer; `None` where the file has none that can be used.
    pub tokenizer: Option<TokenizerFacts>,
    /// The chat template, if there is one.
    pub template: Option<TemplateFacts>,
    /// All keys, with long values abbreviated.
    pub metadata: Vec<Pair>,
    /// All tensors, in the order of the file.
    pub tensors: Vec<TensorFacts>,
}

impl Inspection {
    /// All of it as a JSON object.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// What the model is, in a line.
    pub fn title(&self) -> String {
        let architecture = self.architecture.as_deref().unwrap_or("unknown architecture");
        let file_type = self.file_type.as_deref().unwrap_or("mixed types");
        format!("{architecture} {} {file_type}", count(self.parameters))
    }
}

/// Reads the file, all of it but the data of large tensors.
///
/// # Errors
/// A file that is no GGUF file, or not a whole one.
pub fn inspect(file: &Location) -> Result<Inspection, Error> {
    let gguf = file.open()?;
    Ok(Inspection { path: file.to_string(), ..inspect_model(&gguf) })
}

/// The same of an open file.
pub fn inspect_model(gguf: &Gguf) -> Inspection {
    let metadata = gguf.metadata();
    let text = |key| metadata.opt_str(key).ok().flatten().map(str::to_owned);
    let number = metadata.opt_u32("general.file_type").ok().flatten();
    let weights = gguf.tensors().iter().map(|tensor| tensor.size() as u64).sum();
    let model = model::load(gguf);
    let tokenizer = tokenizer::Tokenizer::from_metadata(metadata);
    let template = language::template(gguf, tokenizer.as_ref().ok());
    let problems = problems::find(&problems::Evidence {
        gguf,
        model: &model,
        tokenizer: &tokenizer,
        template: template.as_ref(),
    });
    Inspection {
        path: String::new(),
        file_bytes: gguf.shard_sizes().collect(),
        version: gguf.version(),
        name: text("general.name"),
        architecture: text("general.architecture"),
        file_type: number.map(|n| file_type::name(n).map_or(format!("type {n}"), str::to_owned)),
        parameters: gguf.tensors().iter().map(|tensor| tensor.values() as u64).sum(),
        tensor_bytes: weights,
        problems,
        by_type: tensors::by_type(gguf),
        by_layer: tensors::by_layer(gguf),
        context: model.ok().map(|model| context::memory(&*model, weights)),
        tokenizer: tokenizer.ok().map(|tokenizer| language::tokenizer(gguf, &tokenizer)),
        template: template.and_then(Result::ok),
        metadata: metadata::pairs(metadata),
        tensors: tensors::all(gguf),
    }
}

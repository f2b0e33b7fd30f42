//! What is wrong with a model file.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use gguf::{Gguf, TensorInfo};
use model::{Model, OutputKind};
use quant::TensorType;
use serde::Serialize;
use tokenizer::Tokenizer;

use super::language::{TEMPLATE, TemplateFacts, roles};
use crate::file_type;

/// Values of tensors that are looked at one by one: norms, biases and scales.
const SMALL: usize = 1 << 16;

/// Texts that end a turn in the templates of many models.
const TURN_ENDS: [&str; 9] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<end_of_turn>",
    "<turn|>",
    "<|end|>",
    "<|return|>",
    "<|eot|>",
    "<|end_of_text|>",
    "<|endoftext|>",
];

/// How bad a problem is; the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The model can't be used.
    Error,
    /// It may give wrong answers, or other programs may refuse it.
    Warning,
    /// Good to know.
    Note,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub text: String,
}

/// What problems are found in.
pub(super) struct Evidence<'a> {
    pub gguf: &'a Gguf,
    pub model: &'a Result<Arc<dyn Model>, model::Error>,
    pub tokenizer: &'a Result<Tokenizer, tokenizer::Error>,
    pub template: Option<&'a Result<TemplateFacts, chat::Error>>,
}

/// All problems, worst first.
pub(super) fn find(evidence: &Evidence<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut report = |severity, text: String| found.push(Problem { severity, text });
    model_and_tokenizer(evidence, &mut report);
    if let Ok(tokenizer) = evidence.tokenizer {
        special_tokens(evidence, tokenizer, &mut report);
    }
    template(evidence, &mut report);
    layout(evidence.gguf, &mut report);
    not_finite(evidence.gguf, &mut report);
    types(evidence.gguf, &mut report);
    found.sort_by_key(|problem| problem.severity);
    found
}

type Report<'a> = dyn FnMut(Severity, String) + 'a;

fn model_and_tokenizer(evidence: &Evidence<'_>, report: &mut Report<'_>) {
    if let Err(error) = evidence.model {
        report(Severity::Error, format!("the model can't be loaded: {error}"));
    }
    let metadata = evidence.gguf.metadata();
    match evidence.tokenizer {
        Err(tokenizer::Error::UnknownPreTokenizer { name, .. }) => report(
            Severity::Error,
            format!("the pre-tokenizer '{name}' is unknown: texts can't be cut into tokens"),
        ),
        Err(error) => report(Severity::Error, format!("the tokenizer can't be used: {error}")),
        Ok(tokenizer) => {
            let family = metadata.opt_str("tokenizer.ggml.model").ok().flatten();
            if family == Some("gpt2") && metadata.get("tokenizer.ggml.pre").is_none() {
                report(
                    Severity::Warning,
                    "no pre-tokenizer is named (tokenizer.ggml.pre): the default is used, and \
                     texts may be cut otherwise than in training; convert the model again"
                        .into(),
                );
            }
            let rows = evidence.model.as_ref().ok().map(|model| model.shape().n_vocab);
            let tokens = tokenizer.n_vocab();
            if let Some(rows) = rows.filter(|&rows| rows != tokens) {
                let severity = if tokens > rows { Severity::Error } else { Severity::Note };
                report(severity, format!("{tokens} tokens, but {rows} rows of embeddings"));
            }
        }
    }
}

fn special_tokens(evidence: &Evidence<'_>, tokenizer: &Tokenizer, report: &mut Report<'_>) {
    let n_vocab = tokenizer.n_vocab();
    for (role, id) in roles(tokenizer.special()) {
        if let Some(id) = id.filter(|&id| id as usize >= n_vocab) {
            report(
                Severity::Warning,
                format!("the {role} token is {id}, beyond the {n_vocab} tokens there are"),
            );
        }
    }
    let generates =
        evidence.model.as_ref().is_ok_and(|model| model.shape().output == OutputKind::Logits);
    if !generates {
        return;
    }
    let metadata = evidence.gguf.metadata();
    let named = metadata.get("tokenizer.ggml.eos_token_id").is_some();
    let eos = tokenizer.eos().filter(|&id| (id as usize) < n_vocab);
    match eos.and_then(|id| Some((id, tokenizer.token_text(id)?))) {
        None => report(Severity::Warning, "no token ends a text (EOS): answers may go on".into()),
        Some((id, text)) if !named => report(
            Severity::Warning,
            format!("the file names no EOS token: {id} '{text}' is taken by default"),
        ),
        Some((id, text)) if !tokenizer.is_control(id) => report(
            Severity::Warning,
            format!("the EOS token {id} '{text}' is no control token: it may occur in texts"),
        ),
        Some(_) => {}
    }
    let source = metadata.opt_str(TEMPLATE).ok().flatten().unwrap_or_default();
    // Later ones are mentioned by templates for other reasons.
    let end = TURN_ENDS.into_iter().find(|text| source.contains(text));
    let id = end.and_then(|text| tokenizer.find(text));
    if let (Some(text), Some(id)) = (end, id)
        && !tokenizer.is_eog(id)
    {
        report(
            Severity::Warning,
            format!("the chat template ends turns with {text}, but that token ends no answer"),
        );
    }
}

fn template(evidence: &Evidence<'_>, report: &mut Report<'_>) {
    let generates =
        evidence.model.as_ref().is_ok_and(|model| model.shape().output == OutputKind::Logits);
    match evidence.template {
        Some(Err(error)) => {
            report(Severity::Error, format!("the chat template can't be used: {error}"));
        }
        None if generates => report(
            Severity::Warning,
            "no chat template: the model was not made for conversations, or lost it; \
             --chat-template gives it one"
                .into(),
        ),
        _ => {}
    }
}

/// Where data lies: other programs want tensors one after another.
fn layout(gguf: &Gguf, report: &mut Report<'_>) {
    let alignment = gguf.metadata().opt_usize("general.alignment").ok().flatten().unwrap_or(32);
    for (shard, size) in gguf.shard_sizes().enumerate() {
        let of_shard = gguf.tensors().iter().filter(|tensor| tensor.shard() == shard);
        let mut ranges: Vec<(Range<usize>, &str)> =
            of_shard.map(|tensor| (tensor.file_range(), tensor.name.as_str())).collect();
        if !ranges.is_sorted_by_key(|(range, _)| range.start) {
            report(
                Severity::Warning,
                "tensor data lies in another order than tensors are listed: llama.cpp refuses it"
                    .into(),
            );
            ranges.sort_by_key(|(range, _)| range.start);
        }
        for pair in ranges.windows(2) {
            let [(before, name), (after, next)] = pair else { continue };
            if after.start < before.end {
                report(Severity::Error, format!("the data of {name} and {next} overlaps"));
            } else if after.start - before.end >= alignment {
                let gap = after.start - before.end;
                let text = format!("{gap} unused bytes before {next}: llama.cpp refuses them");
                report(Severity::Warning, text);
            }
        }
        let end = ranges.last().map(|(range, _)| range.end as u64);
        let rest = end.map_or(0, |end| size.saturating_sub(end));
        if rest >= alignment as u64 {
            report(Severity::Warning, format!("{rest} bytes follow the last tensor"));
        }
    }
}

/// NaN and infinities in small tensors, one of which spoils every answer.
fn not_finite(gguf: &Gguf, report: &mut Report<'_>) {
    let mut bad = Vec::new();
    let small = |tensor: &&TensorInfo| {
        let floats = matches!(tensor.ty, TensorType::F32 | TensorType::F16 | TensorType::BF16);
        floats && tensor.values() <= SMALL
    };
    for tensor in gguf.tensors().iter().filter(small) {
        let Some(decode) = tensor.ty.info().decode else { continue };
        let mut values = vec![0.0; tensor.values()];
        decode(&gguf.data(tensor), &mut values);
        if !values.iter().all(|value| value.is_finite()) {
            bad.push(tensor.name.as_str());
        }
    }
    if let Some(first) = bad.first() {
        let others = match bad.len() {
            1 => String::new(),
            n => format!(" and {} others", n - 1),
        };
        report(Severity::Error, format!("NaN or infinity in {first}{others}"));
    }
}

/// Whether most weights are of the type that the file claims.
fn types(gguf: &Gguf, report: &mut Report<'_>) {
    let Ok(Some(number)) = gguf.metadata().opt_u32("general.file_type") else { return };
    let Some(name) = file_type::name(number) else {
        report(Severity::Note, format!("general.file_type is {number}, which has no meaning here"));
        return;
    };
    let mut values: HashMap<TensorType, usize> = HashMap::new();
    for tensor in gguf.tensors().iter().filter(|tensor| tensor.shape.len() > 1) {
        *values.entry(tensor.ty).or_default() += tensor.values();
    }
    let Some((most, _)) = values.into_iter().max_by_key(|(ty, n)| (*n, *ty as u32)) else { return };
    if !file_type::suits(number, most) {
        let text = format!("general.file_type says {name}, but most weights are {most}");
        report(Severity::Note, text);
    }
}

//! How requests say how much to generate, and what comes back with it.

use std::time::Duration;

use engine::{Finish, Outcome, Progress, Request, Stats};
use sample::Params;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::ClientId;
use crate::error::ApiError;
use crate::models::Loaded;

/// What all requests for text may say, in the names of llama.cpp and OpenAI.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Generate {
    /// Tokens at most, -1 for no limit.
    pub n_predict: Option<i64>,
    /// The same.
    pub max_tokens: Option<i64>,
    /// The same.
    pub max_completion_tokens: Option<i64>,
    /// Texts that end the answer.
    pub stop: Option<Stops>,
    /// Milliseconds to generate at most.
    pub t_max_predict_ms: Option<i64>,
    /// Tokens to keep where the context is full, with `context_shift`; -1 for the prompt.
    pub n_keep: Option<i64>,
    /// Whether to forget the oldest text where the context is full.
    pub context_shift: Option<bool>,
    /// Whether the prompt may come from memory.
    pub cache_prompt: Option<bool>,
    /// Whether the answer comes in pieces.
    pub stream: Option<bool>,
    /// Whether each piece comes with timings.
    pub timings_per_token: Option<bool>,
    /// Whether progress of the prompt is told.
    pub return_progress: Option<bool>,
    /// Whether answers list their tokens.
    pub return_tokens: Option<bool>,
}

/// One text or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Stops {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// Most stop texts of a request: each is looked for after each token.
const MOST_STOPS: usize = 256;

/// Longest stop text.
const LONGEST_STOP: usize = 4096;

impl Stops {
    /// The texts.
    ///
    /// # Errors
    /// Too many, and too long ones.
    pub fn texts(&self) -> Result<Vec<String>, ApiError> {
        let texts = match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
        };
        if texts.len() > MOST_STOPS || texts.iter().any(|text| text.len() > LONGEST_STOP) {
            return Err(ApiError::invalid(format!(
                "'stop' takes up to {MOST_STOPS} texts of up to {LONGEST_STOP} bytes"
            ))
            .with("param", "stop"));
        }
        Ok(texts.to_vec())
    }
}

impl Generate {
    /// A request to continue `prompt`.
    ///
    /// # Errors
    /// Numbers that make no sense.
    pub fn request(
        &self,
        model: &Loaded,
        prompt: Vec<u32>,
        sampling: Params,
        client: ClientId,
        default_limit: Option<usize>,
    ) -> Result<Request, ApiError> {
        let limits = [
            ("max_completion_tokens", self.max_completion_tokens),
            ("max_tokens", self.max_tokens),
            ("n_predict", self.n_predict),
        ];
        let mut limit = default_limit;
        if let Some((name, n)) = limits.into_iter().find_map(|(name, n)| Some((name, n?))) {
            limit = count(name, n)?;
        }
        let time_limit = match self.t_max_predict_ms {
            Some(ms) => count("t_max_predict_ms", ms)?.map(|ms| Duration::from_millis(ms as u64)),
            None => None,
        };
        let keep = match self.n_keep {
            Some(n) => count("n_keep", n)?.unwrap_or(prompt.len()),
            None => 0,
        };
        Ok(Request {
            shift: (self.context_shift == Some(true)).then_some(keep.min(model.n_ctx() / 2)),
            stops: self.stop.as_ref().map(Stops::texts).transpose()?.unwrap_or_default(),
            use_cache: self.cache_prompt.unwrap_or(true),
            client: client.0,
            prompt,
            sampling,
            limit,
            time_limit,
            ..Request::default()
        })
    }
}

/// A number of things, `None` for -1.
fn count(name: &str, n: i64) -> Result<Option<usize>, ApiError> {
    match n {
        -1 => Ok(None),
        _ => usize::try_from(n).map(Some).map_err(|_| {
            ApiError::invalid(format!("'{name}' must be 0 or more, or -1 for no limit, not {n}"))
                .with("param", name)
        }),
    }
}

/// Most answers to one request.
pub const MOST_ANSWERS: usize = 64;

/// How to choose the tokens of `n` answers to one request: with other seeds, so that they differ.
pub fn apart(params: &Params, n: usize) -> impl Iterator<Item = Params> {
    (0..n).map(|i| {
        let seed = params.seed.map(|seed| seed.wrapping_add(i as u32));
        Params { seed, ..params.clone() }
    })
}

/// `prompt_progress` as llama.cpp writes it.
pub fn prompt_progress(progress: Progress) -> Value {
    let Progress { total, cached, done } = progress;
    json!({ "total": total, "cache": cached, "processed": done })
}

/// `timings` as llama.cpp writes them.
pub fn timings(stats: &Stats) -> Value {
    let (prompt, predicted) =
        (stats.prompt_time.as_secs_f64(), stats.generation_time.as_secs_f64());
    let per = |time: f64, n: usize| if n == 0 { 0.0 } else { time * 1e3 / n as f64 };
    json!({
        "cache_n": stats.cached_tokens,
        "prompt_n": stats.prompt_tokens,
        "prompt_ms": prompt * 1e3,
        "prompt_per_token_ms": per(prompt, stats.prompt_tokens),
        "prompt_per_second": stats.prompt_speed(),
        "predicted_n": stats.generated_tokens,
        "predicted_ms": predicted * 1e3,
        "predicted_per_token_ms": per(predicted, stats.generated_tokens),
        "predicted_per_second": stats.generation_speed(),
    })
}

/// `usage` as OpenAI writes it.
pub fn usage(outcomes: &[Outcome]) -> Value {
    // The prompt counts once, however many answers it gets.
    let first = outcomes.first().map(|outcome| outcome.stats).unwrap_or_default();
    let prompt = first.prompt_tokens + first.cached_tokens;
    let completion: usize = outcomes.iter().map(|outcome| outcome.stats.generated_tokens).sum();
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": { "cached_tokens": first.cached_tokens },
    })
}

/// `finish_reason` as OpenAI writes it.
pub fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Limit | Finish::ContextFull | Finish::Cancelled => "length",
        Finish::EndOfGeneration | Finish::StopText => "stop",
    }
}

//! How requests say to choose tokens: the names of llama.cpp, of which OpenAI's and Anthropic's are a
//! part.

use sample::{Mirostat, Params, SamplerKind};
use serde::Deserialize;
use serde_json::Value;
use tokenizer::Tokenizer;

use crate::error::ApiError;

/// What a request says of sampling; all that it leaves out is as the server's defaults.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// Seed; -1 for a fresh one.
    pub seed: Option<i64>,
    /// See [`Params`] for this and what follows.
    pub temperature: Option<f32>,
    pub dynatemp_range: Option<f32>,
    pub dynatemp_exponent: Option<f32>,
    pub top_k: Option<i64>,
    pub top_p: Option<f32>,
    pub min_p: Option<f32>,
    pub typical_p: Option<f32>,
    pub top_n_sigma: Option<f32>,
    pub xtc_probability: Option<f32>,
    pub xtc_threshold: Option<f32>,
    /// -1 for the whole context.
    pub repeat_last_n: Option<i64>,
    pub repeat_penalty: Option<f32>,
    pub presence_penalty: Option<f32>,
    pub frequency_penalty: Option<f32>,
    pub dry_multiplier: Option<f32>,
    pub dry_base: Option<f32>,
    pub dry_allowed_length: Option<i64>,
    /// -1 for the whole context.
    pub dry_penalty_last_n: Option<i64>,
    pub dry_sequence_breakers: Option<Vec<String>>,
    pub adaptive_target: Option<f32>,
    pub adaptive_decay: Option<f32>,
    pub mirostat: Option<i64>,
    pub mirostat_tau: Option<f32>,
    pub mirostat_eta: Option<f32>,
    pub min_keep: Option<i64>,
    pub samplers: Option<Samplers>,
    pub ignore_eos: Option<bool>,
    pub logit_bias: Option<Value>,
    pub n_probs: Option<i64>,
    pub post_sampling_probs: Option<bool>,
}

/// Names of samplers, in order, or their letters.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Samplers {
    /// One after the other.
    Names(Vec<String>),
    /// A letter each.
    Letters(String),
}

/// Most probabilities of tokens that an answer reports for each of its own.
const MOST_PROBS: i64 = 1000;

impl Sampling {
    /// What follows from `defaults` and the request.
    ///
    /// # Errors
    /// Numbers that make no sense, and unknown samplers and tokens.
    pub fn params(&self, defaults: &Params, tokenizer: &Tokenizer) -> Result<Params, ApiError> {
        let mut params = defaults.clone();
        for (value, field) in [
            (self.temperature, &mut params.temperature),
            (self.dynatemp_range, &mut params.dynatemp_range),
            (self.dynatemp_exponent, &mut params.dynatemp_exponent),
            (self.top_p, &mut params.top_p),
            (self.min_p, &mut params.min_p),
            (self.typical_p, &mut params.typical_p),
            (self.top_n_sigma, &mut params.top_n_sigma),
            (self.xtc_probability, &mut params.xtc_probability),
            (self.xtc_threshold, &mut params.xtc_threshold),
            (self.repeat_penalty, &mut params.repeat_penalty),
            (self.presence_penalty, &mut params.presence_penalty),
            (self.frequency_penalty, &mut params.frequency_penalty),
            (self.dry_multiplier, &mut params.dry_multiplier),
            (self.dry_base, &mut params.dry_base),
            (self.adaptive_target, &mut params.adaptive_target),
            (self.adaptive_decay, &mut params.adaptive_decay),
            (self.mirostat_tau, &mut params.mirostat_tau),
            (self.mirostat_eta, &mut params.mirostat_eta),
        ] {
            *field = value.unwrap_or(*field);
        }
        for (name, value, all, field) in [
            // A negative number of tokens to keep keeps all.
            ("top_k", self.top_k, 0, &mut params.top_k),
            ("repeat_last_n", self.repeat_last_n, usize::MAX, &mut params.repeat_last_n),
            ("dry_penalty_last_n", self.dry_penalty_last_n, usize::MAX, &mut params.dry_last_n),
        ] {
            *field = match value {
                None => continue,
                Some(n) if n < -1 => return Err(refuse(name, "-1 or more")),
                Some(n) => usize::try_from(n).unwrap_or(all),
            };
        }
        for (name, value, most, field) in [
            (
                "dry_allowed_length",
                self.dry_allowed_length,
                i64::MAX,
                &mut params.dry_allowed_length,
            ),
            ("min_keep", self.min_keep, i64::MAX, &mut params.min_keep),
            ("n_probs", self.n_probs, MOST_PROBS, &mut params.n_probs),
        ] {
            *field = match value {
                None => continue,
                Some(n) if n > most => return Err(refuse(name, &format!("{most} or less"))),
                Some(n) => usize::try_from(n).map_err(|_| refuse(name, "0 or more"))?,
            };
        }
        if let Some(breakers) = &self.dry_sequence_breakers {
            params.dry_breakers.clone_from(breakers);
        }
        if let Some(number) = self.mirostat {
            let version = Mirostat::from_number(number);
            params.mirostat = version.ok_or_else(|| refuse("mirostat", "0, 1 or 2"))?;
        }
        if let Some(samplers) = &self.samplers {
            params.samplers = samplers.kinds()?;
        }
        if let Some(seed) = self.seed {
            params.seed = match seed {
                -1 => None,
                seed => Some(seed as u32),
            };
        }
        params.ignore_eos = self.ignore_eos.unwrap_or(params.ignore_eos);
        params.post_sampling_probs = self.post_sampling_probs.unwrap_or(params.post_sampling_probs);
        if let Some(bias) = &self.logit_bias {
            params.logit_bias = biases(bias, tokenizer)?;
        }
        params.check().map_err(|error| ApiError::invalid(error.to_string()))?;
        Ok(params)
    }
}

impl Samplers {
    fn kinds(&self) -> Result<Vec<SamplerKind>, ApiError> {
        let unknown = |name: &str| {
            let names: Vec<&str> = SamplerKind::all().map(SamplerKind::name).collect();
            refuse("samplers", &format!("of {}; '{name}' is not known", names.join(", ")))
        };
        match self {
            Self::Names(names) => {
                let kind =
                    |name: &String| SamplerKind::from_name(name).ok_or_else(|| unknown(name));
                names.iter().map(kind).collect()
            }
            Self::Letters(letters) => {
                let kind =
                    |c: char| SamplerKind::from_letter(c).ok_or_else(|| unknown(&c.to_string()));
                letters.chars().map(kind).collect()
            }
        }
    }
}

fn refuse(name: &str, expected: &str) -> ApiError {
    ApiError::invalid(format!("'{name}' must be {expected}")).with("param", name)
}

/// Biases as `{"15043": 1}` or as `[[15043, 1], [" Hello", false]]`, where false forbids. Text stands
/// for each of its tokens.
fn biases(value: &Value, tokenizer: &Tokenizer) -> Result<Vec<(u32, f32)>, ApiError> {
    let refused = || {
        let expected = "an object of token ids and numbers, or a list of pairs";
        refuse("logit_bias", expected)
    };
    let amount = |value: &Value| match value {
        Value::Bool(false) => Some(f32::NEG_INFINITY),
        _ => value.as_f64().map(|bias| bias as f32),
    };
    let tokens_of = |value: &Value| match value {
        Value::String(text) => Some(tokenizer.encode(text, false, false)),
        _ => Some(vec![u32::try_from(value.as_u64()?).ok()?]),
    };
    let mut biases = Vec::new();
    let mut add = |tokens: Option<Vec<u32>>, bias: Option<f32>| {
        let (tokens, bias) = tokens.zip(bias).ok_or_else(refused)?;
        biases.extend(tokens.into_iter().map(|token| (token, bias)));
        Ok::<_, ApiError>(())
    };
    match value {
        Value::Object(map) => {
            for (token, bias) in map {
                let ids = token.parse().ok().map(|id| vec![id]);
                add(ids.or_else(|| Some(tokenizer.encode(token, false, false))), amount(bias))?;
            }
        }
        Value::Array(pairs) => {
            for pair in pairs {
                let [token, bias] = pair.as_array().map(Vec::as_slice).ok_or_else(refused)? else {
                    return Err(refused());
                };
                add(tokens_of(token), amount(bias))?;
            }
        }
        _ => return Err(refused()),
    }
    Ok(biases)
}

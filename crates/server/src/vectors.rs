//! Vectors of texts, whoever asks for them.

use engine::{Engine, Normalization, Pooling, Texts};
use serde_json::Value;

use crate::error::{ApiError, Kind};
use crate::models::Loaded;
use crate::prompt;

/// Most texts of one request, as OpenAI takes them.
const MOST: usize = 2048;

/// Texts that have become vectors.
pub struct Vectors {
    /// Of each text one, or without pooling one for each token.
    pub of_texts: Vec<Vec<Vec<f32>>>,
    /// Tokens of all texts.
    pub n_tokens: usize,
}

/// The tokens of the texts in a field: a text, tokens, or a list of these.
///
/// # Errors
/// Anything else, empty texts and too many.
pub fn inputs(name: &str, value: &Value, engine: &Engine) -> Result<Vec<Vec<u32>>, ApiError> {
    let refused = |message: String| ApiError::invalid(message).with("param", name);
    let many = match value {
        Value::Array(parts) if !parts.is_empty() && !parts.iter().all(Value::is_number) => parts,
        _ => std::slice::from_ref(value),
    };
    if many.len() > MOST {
        return Err(refused(format!("'{name}' takes up to {MOST} texts")));
    }
    let tokens = |text: &Value| match text {
        Value::String(text) => Ok(engine.text_tokens(text)),
        Value::Object(fields) if fields.contains_key("content") => {
            prompt::one(&fields["content"], engine.tokenizer())
        }
        text => prompt::one(text, engine.tokenizer()),
    };
    let texts = many.iter().map(tokens).collect::<Result<Vec<_>, _>>();
    let texts = texts.map_err(|_| {
        refused(format!("'{name}' must be text, a list of tokens, or many of these"))
    })?;
    match texts.iter().any(Vec::is_empty) {
        true => Err(refused(format!("'{name}' has a text without tokens"))),
        false => Ok(texts),
    }
}

/// Embeds texts. Vectors that stand for whole texts get the length that `normalization` says.
///
/// # Errors
/// Models that rank, texts that don't fit, and more requests than may wait.
pub async fn embed(
    model: &Loaded,
    texts: Vec<Vec<u32>>,
    normalization: Normalization,
) -> Result<Vectors, ApiError> {
    let pooling = model.engine().pooling();
    if pooling == Pooling::Rank {
        let message = format!("'{}' ranks texts and makes no vectors of them", model.name());
        return Err(ApiError::new(Kind::Unsupported, message));
    }
    let n_tokens = texts.iter().map(Vec::len).sum();
    let mut of_texts = model.embed(Texts { texts, pooling: None }).await?;
    if pooling != Pooling::None {
        of_texts.iter_mut().flatten().for_each(|vector| normalization.apply(vector));
    }
    Ok(Vectors { of_texts, n_tokens })
}

/// As [`embed`], with one vector for each text, of Euclidean length 1; only the first `dimensions`
/// values, where that is asked for.
///
/// # Errors
/// As [`embed`], models without pooling, and more dimensions than there are.
pub async fn embed_each(
    model: &Loaded,
    texts: Vec<Vec<u32>>,
    dimensions: Option<usize>,
) -> Result<(Vec<Vec<f32>>, usize), ApiError> {
    if model.engine().pooling() == Pooling::None {
        let message = format!(
            "'{}' doesn't say what becomes of its tokens' vectors; start with --pooling mean, cls or last",
            model.name()
        );
        return Err(ApiError::invalid(message));
    }
    let Vectors { of_texts, n_tokens } = embed(model, texts, Normalization::None).await?;
    let mut vectors: Vec<Vec<f32>> = of_texts.into_iter().flatten().collect();
    for vector in &mut vectors {
        if let Some(n) = dimensions.filter(|&n| n == 0 || n > vector.len()) {
            let message = format!("there are {} dimensions, not {n}", vector.len());
            return Err(ApiError::invalid(message).with("param", "dimensions"));
        }
        vector.truncate(dimensions.unwrap_or(vector.len()));
        Normalization::default().apply(vector);
    }
    Ok((vectors, n_tokens))
}

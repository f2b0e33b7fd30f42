//! `/v1/embeddings` and `/v1/rerank`.

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use engine::{Pooling, Texts};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::App;
use crate::body::Body;
use crate::error::{ApiError, Kind};
use crate::vectors::{embed_each, inputs};

/// Most documents of one request.
const MOST_DOCUMENTS: usize = 2048;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Embed {
    model: Option<String>,
    input: Value,
    content: Value,
    encoding_format: Option<Encoding>,
    dimensions: Option<usize>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    Base64,
}

/// Vectors of texts.
pub async fn embed(State(app): State<App>, body: Body) -> Result<Json<Value>, ApiError> {
    let fields: Embed = body.parse()?;
    let model = app.models().get(fields.model.as_deref()).await?;
    let (name, input) = match fields.input {
        Value::Null if !fields.content.is_null() => ("content", fields.content),
        input => ("input", input),
    };
    let texts = inputs(name, &input, model.engine())?;
    let (vectors, n_tokens) = embed_each(&model, texts, fields.dimensions).await?;
    let encoding = fields.encoding_format.unwrap_or_default();
    let object = |(index, vector): (usize, Vec<f32>)| {
        let embedding = match encoding {
            Encoding::Float => Value::from(vector),
            Encoding::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|v| v.to_le_bytes()).collect();
                BASE64_STANDARD.encode(bytes).into()
            }
        };
        json!({ "object": "embedding", "index": index, "embedding": embedding })
    };
    let data: Vec<Value> = vectors.into_iter().enumerate().map(object).collect();
    Ok(Json(json!({
        "object": "list",
        "model": model.name(),
        "data": data,
        "usage": { "prompt_tokens": n_tokens, "total_tokens": n_tokens },
    })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rank {
    model: Option<String>,
    query: Option<String>,
    documents: Option<Vec<Document>>,
    /// As Hugging Face's inference server calls them; it gives its answer in another form.
    texts: Option<Vec<Document>>,
    top_n: Option<usize>,
    return_documents: bool,
    return_text: bool,
}

/// A text, alone or in a field, as Jina and Cohere have it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Document {
    Text(String),
    Field { text: String },
}

impl Document {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Field { text } => text,
        }
    }
}

/// How well texts answer a question, the best first.
pub async fn rerank(State(app): State<App>, body: Body) -> Result<Json<Value>, ApiError> {
    let fields: Rank = body.parse()?;
    let missing =
        |name: &str| ApiError::invalid(format!("'{name}' is missing")).with("param", name);
    let is_plain = fields.documents.is_none() && fields.texts.is_some();
    let query = fields.query.ok_or_else(|| missing("query"))?;
    let documents = fields.documents.or(fields.texts).ok_or_else(|| missing("documents"))?;
    if documents.is_empty() || documents.len() > MOST_DOCUMENTS {
        let message = format!("'documents' takes 1 to {MOST_DOCUMENTS} texts");
        return Err(ApiError::invalid(message).with("param", "documents"));
    }
    let model = app.models().get(fields.model.as_deref()).await?;
    let engine = model.engine();
    if engine.pooling() != Pooling::Rank {
        let message = format!("'{}' can't rank texts; serve a reranker", model.name());
        return Err(ApiError::new(Kind::Unsupported, message));
    }
    let pair = |document: &Document| engine.joined_tokens(&[query.as_str(), document.text()]);
    let texts: Vec<Vec<u32>> = documents.iter().map(pair).collect();
    let n_tokens: usize = texts.iter().map(Vec::len).sum();
    let scores = model.embed(Texts { texts, pooling: None }).await?;
    let score = |vectors: &Vec<Vec<f32>>| vectors.first().and_then(|row| row.first()).copied();
    let mut ranks: Vec<(usize, f32)> =
        scores.iter().enumerate().map(|(i, vectors)| (i, score(vectors).unwrap_or(0.0))).collect();
    ranks.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranks.truncate(fields.top_n.unwrap_or(usize::MAX));
    let result = |&(index, score): &(usize, f32)| {
        let name = if is_plain { "score" } else { "relevance_score" };
        let mut result = json!({ "index": index, name: score });
        let text = documents[index].text();
        if is_plain && fields.return_text {
            result["text"] = text.into();
        } else if !is_plain && fields.return_documents {
            result["document"] = json!({ "text": text });
        }
        result
    };
    let results: Vec<Value> = ranks.iter().map(result).collect();
    if is_plain {
        return Ok(Json(results.into()));
    }
    Ok(Json(json!({
        "object": "list",
        "model": model.name(),
        "usage": { "prompt_tokens": n_tokens, "total_tokens": n_tokens },
        "results": results,
    })))
}

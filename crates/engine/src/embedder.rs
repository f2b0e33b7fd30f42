//! Texts to vectors, and pairs of texts to scores.

use gguf::{Gguf, Location};
use model::{Capacity, Context, OutputKind, Pooling};
use tokenizer::Tokenizer;

use crate::{Error, Options, tokenizer_of};

/// Most texts that are evaluated at once.
const MAX_TEXTS: usize = 64;

/// A model that embeds or ranks, ready to do so.
pub struct Embedder {
    context: Context,
    tokenizer: Tokenizer,
    /// How a question and a text become one text, with `{query}` and `{document}` in their places.
    pair_template: Option<String>,
    pooling: Pooling,
    labels: Vec<String>,
    n_ctx: usize,
    n_batch: usize,
}

impl Embedder {
    /// Maps the model file, whose embeddings are pooled as it says, or as `pooling` says.
    ///
    /// # Errors
    /// Damaged files, models that generate text, and memory or threads that are not to be had.
    pub fn load(
        file: impl Into<Location>,
        options: &Options,
        pooling: Option<Pooling>,
    ) -> Result<Self, Error> {
        let gguf = file.into().open()?;
        let model = model::load(&gguf)?;
        let OutputKind::Embeddings(usual) = model.shape().output else {
            let architecture = gguf.metadata().str("general.architecture")?.to_owned();
            return Err(Error::NotEmbedding { architecture });
        };
        let tokenizer = tokenizer_of(&gguf, &*model)?;
        let n_ctx = options.n_ctx.unwrap_or(model.shape().n_ctx_train);
        if n_ctx == 0 {
            return Err(Error::EmptyContext);
        }
        let n_batch = options.n_batch.max(n_ctx);
        let capacity = Capacity { n_ctx, n_positions: n_batch, n_sequences: MAX_TEXTS };
        let backend = Box::new(options.backend()?);
        let template = gguf.metadata().opt_str("tokenizer.chat_template.rerank")?;
        Ok(Self {
            context: Context::with_capacity(model, backend, capacity, options.kv_types)?,
            tokenizer,
            pair_template: template.map(str::to_owned),
            pooling: pooling.unwrap_or(usual),
            labels: labels(&gguf)?,
            n_ctx,
            n_batch,
        })
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What a text's embeddings become.
    pub fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// What each score of a model that ranks is about, where the file says so.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Has tokens see only earlier ones, or the whole text, whatever the model says.
    ///
    /// # Errors
    /// Models whose attention is of another kind.
    pub fn set_causal(&mut self, causal: bool) -> Result<(), Error> {
        Ok(self.context.set_causal(causal)?)
    }

    /// Longest text, in tokens.
    pub fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    /// The tokens of a text.
    pub fn tokens(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode(text, true, true)
    }

    /// The tokens of texts that are judged together, such as a question and a text that may answer
    /// it: put into the file's template where it has one and there are two, else one after another,
    /// with the tokens between them that the vocabulary puts at ends.
    pub fn joined_tokens(&self, texts: &[&str]) -> Vec<u32> {
        let text = match (&self.pair_template, texts) {
            (Some(template), &[query, document, ..]) => fill(template, query, document),
            _ => texts.join(&self.between()),
        };
        self.tokens(&text)
    }

    /// What ends one text of several and begins the next.
    fn between(&self) -> String {
        let special = self.tokenizer.special();
        let text = |is_added: bool, id: Option<u32>| {
            id.filter(|_| is_added).and_then(|id| self.tokenizer.token_text(id)).unwrap_or_default()
        };
        let eos = text(self.tokenizer.add_eos(), special.eos);
        let sep = text(self.tokenizer.add_sep(), special.sep);
        format!("{eos}{sep}")
    }

    /// The vectors of each text: one, or without pooling one for each token; from a model that ranks
    /// its scores. Texts are evaluated together as far as memory has room.
    ///
    /// # Errors
    /// Texts without tokens or of too many, and ranking without a classifier.
    pub fn embed(&mut self, texts: &[Vec<u32>]) -> Result<Vec<Vec<Vec<f32>>>, Error> {
        if let Some(long) = texts.iter().find(|text| text.len() > self.n_ctx) {
            return Err(Error::PromptTooLong { tokens: long.len(), n_ctx: self.n_ctx });
        }
        let mut all = Vec::with_capacity(texts.len());
        let mut rest = texts;
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(self.batch_len(rest));
            rest = after;
            let parts: Vec<&[u32]> = batch.iter().map(Vec::as_slice).collect();
            let values = self.context.embed_texts(&parts, Some(self.pooling))?.unwrap_or_default();
            let n_rows = |text: &[u32]| if self.pooling == Pooling::None { text.len() } else { 1 };
            let width = values.len() / parts.iter().map(|text| n_rows(text)).sum::<usize>().max(1);
            let mut rows = values.chunks(width.max(1)).map(<[f32]>::to_vec);
            all.extend(parts.iter().map(|text| rows.by_ref().take(n_rows(text)).collect()));
        }
        Ok(all)
    }

    /// How many of the texts to evaluate at once: at least one.
    fn batch_len(&self, texts: &[Vec<u32>]) -> usize {
        let mut tokens = 0;
        let fits = texts.iter().take(MAX_TEXTS).take_while(|text| {
            tokens += text.len();
            tokens <= self.n_batch
        });
        fits.count().max(1)
    }
}

fn labels(gguf: &Gguf) -> Result<Vec<String>, Error> {
    let metadata = gguf.metadata();
    let key = format!("{}.classifier.output_labels", metadata.str("general.architecture")?);
    let labels = metadata.strings(&key)?;
    Ok(labels.map(|labels| labels.map(str::to_owned).collect()).unwrap_or_default())
}

/// The template with texts in their places, which may themselves look like places.
fn fill(template: &str, query: &str, document: &str) -> String {
    let parts = template.split("{query}");
    let parts = parts.map(|part| part.split("{document}").collect::<Vec<_>>().join(document));
    parts.collect::<Vec<_>>().join(query)
}

/// What the length of a vector becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalization {
    /// What it is.
    None,
    /// The greatest value becomes 32760, so that all fit 16-bit integers.
    MaxAbsolute,
    /// The sum of absolute values to this power becomes 1: 1 for taxicab, 2 for Euclid.
    Power(u32),
}

impl Default for Normalization {
    fn default() -> Self {
        Self::Power(2)
    }
}

impl Normalization {
    /// As `--embd-normalize` numbers them: -1, 0, or the power.
    pub fn from_number(number: i32) -> Option<Self> {
        match number {
            -1 => Some(Self::None),
            0 => Some(Self::MaxAbsolute),
            power => u32::try_from(power).ok().map(Self::Power),
        }
    }

    /// Gives a vector its length; one of zeros stays.
    pub fn apply(self, vector: &mut [f32]) {
        let values = || vector.iter().map(|&v| f64::from(v).abs());
        let length = match self {
            Self::None => return,
            Self::MaxAbsolute => values().fold(0.0, f64::max) / 32760.0,
            Self::Power(power) => {
                let power = f64::from(power);
                values().map(|v| v.powf(power)).sum::<f64>().powf(1.0 / power)
            }
        };
        let factor = if length > 0.0 { 1.0 / length } else { 0.0 };
        vector.iter_mut().for_each(|v| *v = (f64::from(*v) * factor) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_become_what_the_number_says() {
        let normal = |number: i32| {
            let mut vector = [3.0f32, -4.0, 0.0];
            Normalization::from_number(number).expect("a number").apply(&mut vector);
            vector
        };
        assert_eq!(normal(-1), [3.0, -4.0, 0.0]);
        assert_eq!(normal(0), [24570.0, -32760.0, 0.0]);
        assert_eq!(normal(1), [3.0 / 7.0, -4.0 / 7.0, 0.0]);
        assert_eq!(normal(2), [0.6, -0.8, 0.0]);
        let cube = 91f32.cbrt();
        assert!((normal(3)[0] - 3.0 / cube).abs() < 1e-6);
        assert_eq!(Normalization::from_number(-2), None);
        let mut zeros = [0.0; 2];
        Normalization::default().apply(&mut zeros);
        assert_eq!(zeros, [0.0; 2]);
    }

    #[test]
    fn texts_that_look_like_places_stay() {
        assert_eq!(fill("q: {query} d: {document}!", "{document}", "b"), "q: {document} d: b!");
    }
}

//! Texts that become vectors, and pairs of texts that are judged.

use gguf::Gguf;
use model::{OutputKind, Pooling};

use crate::{Engine, Error};

/// Texts to embed.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    /// Tokens of each.
    pub texts: Vec<Vec<u32>>,
    /// What becomes of the embeddings of a text's tokens; `None` for what [`Engine::pooling`] says.
    pub pooling: Option<Pooling>,
}

/// What a file says of texts to embed.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// How a question and a text become one text, with `{query}` and `{document}` in their places.
    pair_template: Option<String>,
    labels: Vec<String>,
}

impl Facts {
    pub fn read(gguf: &Gguf) -> Result<Self, Error> {
        let metadata = gguf.metadata();
        let key = format!("{}.classifier.output_labels", metadata.str("general.architecture")?);
        let labels = metadata.strings(&key)?;
        let labels = labels.map(|labels| labels.map(str::to_owned).collect()).unwrap_or_default();
        let pair_template = metadata.opt_str("tokenizer.chat_template.rerank")?.map(str::to_owned);
        Ok(Self { pair_template, labels })
    }
}

impl Engine {
    /// Whether the model continues texts. All embed them.
    pub fn is_generative(&self) -> bool {
        self.model.shape().output == OutputKind::Logits
    }

    /// What becomes of the embeddings of a text's tokens where nobody says otherwise: what the options
    /// or the file say; the mean where neither does and the model generates text.
    pub fn pooling(&self) -> Pooling {
        self.options.pooling.unwrap_or(self.model.shape().pooling())
    }

    /// What each score of a model that ranks is about, where the file says so.
    pub fn labels(&self) -> &[String] {
        &self.facts.labels
    }

    /// The tokens of a text to embed.
    pub fn text_tokens(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode(text, true, true)
    }

    /// The tokens of texts that are judged together, such as a question and a text that may answer
    /// it: put into the file's template where it has one and there are two, else one after another,
    /// with the tokens between them that the vocabulary puts at ends.
    pub fn joined_tokens(&self, texts: &[&str]) -> Vec<u32> {
        let text = match (&self.facts.pair_template, texts) {
            (Some(template), &[query, document, ..]) => fill(template, query, document),
            _ => texts.join(&self.between()),
        };
        self.text_tokens(&text)
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
}

/// The template with texts in their places, which may themselves look like places.
fn fill(template: &str, query: &str, document: &str) -> String {
    let parts = template.split("{query}");
    let parts = parts.map(|part| part.split("{document}").collect::<Vec<_>>().join(document));
    parts.collect::<Vec<_>>().join(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_look_like_places_stay() {
        assert_eq!(fill("q: {query} d: {document}!", "{document}", "b"), "q: {document} d: b!");
    }
}

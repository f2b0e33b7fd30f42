//! Embeddings of texts.

use super::{Context, Outputs, Part, Yield, check_finite};
use crate::blocks::pooling::{Pooling, Reduction};
use crate::error::Error;
use crate::forward::{Forward, Spans};

impl Context {
    /// Embeds a text and pools the embeddings of its tokens as the file says, or otherwise, see
    /// [`Pooling`]: one vector, or without pooling one for each token; scores from a model that ranks.
    /// The first sequence is empty before and after.
    ///
    /// # Errors
    /// A text without tokens, ranking without a classifier, models that have no embeddings, and what
    /// [`Context::decode`] refuses.
    pub fn embed(&mut self, tokens: &[u32], pooling: Option<Pooling>) -> Result<Vec<f32>, Error> {
        let pooling = pooling.unwrap_or(self.model.shape().pooling());
        if tokens.is_empty() {
            return Err(Error::EmptyText);
        }
        let mut reduction = self.reduction(pooling)?;
        let _ = self.truncate(0);
        let rows = self.embed_batch(&[Part { sequence: 0, tokens, outputs: Outputs::All }]);
        rows.map(|rows| reduction.push(rows))?;
        let _ = self.truncate(0);
        self.finish_pooling(reduction.finish(), pooling)
    }

    /// Evaluates the parts of different sequences as one batch, as [`Context::decode_batch`], and
    /// returns the embeddings that outputs would be made from, one of [`crate::Shape::n_embd`] values
    /// for each output asked for.
    ///
    /// # Errors
    /// As [`Context::decode_batch`], and models that have no embeddings.
    ///
    /// # Panics
    /// As [`Context::decode_batch`].
    pub fn embed_batch(&mut self, parts: &[Part<'_>]) -> Result<&mut [f32], Error> {
        let n_rows = |part: &Part<'_>| match part.outputs {
            Outputs::None => 0,
            Outputs::Last => part.tokens.len().min(1),
            Outputs::All => part.tokens.len(),
        };
        let n_values = parts.iter().map(n_rows).sum::<usize>() * self.model.shape().n_embd;
        let rows = self.evaluate(parts, &[], Yield::Embeddings)?;
        if rows.len() == n_values { Ok(rows) } else { Err(Error::NoEmbeddings) }
    }

    /// What takes the embeddings of a text's tokens, to pool them so.
    ///
    /// # Errors
    /// Ranking without a classifier.
    pub fn reduction(&self, pooling: Pooling) -> Result<Reduction, Error> {
        let rows = match (self.model.pooler(), pooling) {
            (Some(pooler), _) => pooler.rows(pooling)?,
            (None, Pooling::Rank) => return Err(Error::NoClassifier),
            (None, rows) => rows,
        };
        Ok(Reduction::new(rows, self.model.shape().n_embd))
    }

    /// The vectors, one after another, or scores of a text from what its [`Reduction`] has left.
    ///
    /// # Errors
    /// NaN and infinity.
    pub fn finish_pooling(
        &mut self,
        mut rows: Vec<f32>,
        pooling: Pooling,
    ) -> Result<Vec<f32>, Error> {
        let model = self.model.clone();
        if let Some(pooler) = model.pooler().filter(|pooler| !pooler.is_identity(pooling)) {
            let mark = self.backend.mark();
            let x = self.backend.upload(&rows, model.shape().n_embd);
            let spans = Spans::default();
            let mut cx = Forward::new(&mut *self.backend, &self.memory, &[], &spans, &[]);
            let x = pooler.forward(&mut cx, x, pooling);
            rows.resize(x.rows() * x.cols(), 0.0);
            self.backend.download(x, &mut rows);
            self.backend.release(mark);
        }
        check_finite(&mut rows)?;
        Ok(rows)
    }
}

//! From the embeddings of a text's tokens to what stands for the text.

use backend::{Activation, Linear, Tensor};

use crate::blocks::norm::Norm;
use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::Keys;
use crate::source::Source;

/// What a text's embeddings become; values as in `ARCH.pooling_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// They stay: one vector per token.
    None,
    /// Their mean.
    Mean,
    /// The first token's.
    First,
    /// The last token's.
    Last,
    /// Scores by a classifier: how well a text answers a question (re-ranking).
    Rank,
}

impl Pooling {
    /// Reads `pooling_type`; files that don't say leave embeddings as they are.
    pub(crate) fn load(keys: &Keys<'_>) -> Result<Self, Error> {
        Ok(Self::read(keys, "pooling_type")?.unwrap_or(Pooling::None))
    }

    fn read(keys: &Keys<'_>, key: &str) -> Result<Option<Self>, Error> {
        Ok(Some(match keys.opt_usize(key)? {
            None => return Ok(None),
            Some(0) => Pooling::None,
            Some(1) => Pooling::Mean,
            Some(2) => Pooling::First,
            Some(3) => Pooling::Last,
            Some(4) => Pooling::Rank,
            Some(other) => {
                return Err(Error::Value {
                    key: key.into(),
                    value: other.to_string(),
                    expected: "0 (none), 1 (mean), 2 (cls), 3 (last) or 4 (rank)".into(),
                });
            }
        }))
    }
}

/// Pools the embeddings of one text.
pub struct Pooler {
    /// What the file says that it yields.
    pub kind: Pooling,
    /// What a classifier takes.
    scored: Pooling,
    /// From there to scores.
    classifier: Vec<Step>,
    /// After any pooling.
    products: Vec<Linear>,
}

enum Step {
    Linear(Linear),
    Activate(Activation),
    Norm(Norm),
    Softmax,
}

impl Pooler {
    /// Pools as the file says.
    pub fn load(source: &Source<'_>) -> Result<Self, Error> {
        let kind = Pooling::load(&source.keys)?;
        Ok(Self { kind, scored: kind, classifier: Vec::new(), products: Vec::new() })
    }

    /// With the file's classifier, if it has one or says that the model ranks: `cls` and an
    /// activation, `cls.norm`, and `cls.output`, of which there is at least one product. It takes
    /// what `scored` pools, unless the file says otherwise.
    pub fn with_classifier(
        self,
        source: &Source<'_>,
        scored: Pooling,
        activation: Activation,
    ) -> Result<Self, Error> {
        let Source { keys, hp, weights: w } = source;
        let scored = match Pooling::read(keys, "classifier.pooling_type")? {
            Some(Pooling::Mean) => Pooling::Mean,
            Some(_) if scored == Pooling::Mean => Pooling::First,
            _ => scored,
        };
        let mut classifier = Vec::new();
        let mut width = hp.n_embd;
        if w.has("cls.weight") {
            let dense = w.linear_of_any_rows("cls", width)?;
            width = dense.weight.rows();
            classifier.extend([Step::Linear(dense), Step::Activate(activation)]);
            if w.has("cls.norm.weight") {
                classifier.push(Step::Norm(source.layer_norm()?.load(w, "cls.norm", width)?));
            }
        }
        if w.has("cls.output.weight") || (classifier.is_empty() && self.kind == Pooling::Rank) {
            classifier.push(Step::Linear(w.linear_of_any_rows("cls.output", width)?));
        }
        Ok(Self { scored, classifier, ..self })
    }

    /// With a softmax over the scores, if there are any.
    pub fn with_softmax(mut self) -> Self {
        if !self.classifier.is_empty() {
            self.classifier.push(Step::Softmax);
        }
        self
    }

    /// With a product after any pooling.
    pub fn with_product(mut self, product: Linear) -> Self {
        self.products.push(product);
        self
    }

    /// Which rows to have for a pooling: for scores those that the classifier takes.
    ///
    /// # Errors
    /// No classifier for ranking.
    pub(crate) fn rows(&self, pooling: Pooling) -> Result<Pooling, Error> {
        match pooling {
            Pooling::Rank if self.classifier.is_empty() => Err(Error::NoClassifier),
            Pooling::Rank => Ok(self.scored),
            rows => Ok(rows),
        }
    }

    /// Whether [`Pooler::forward`] leaves the rows of this pooling as they are.
    pub(crate) fn is_identity(&self, pooling: Pooling) -> bool {
        pooling != Pooling::Rank && self.products.is_empty()
    }

    /// From pooled rows, `[rows][n_embd]`, to vectors or scores.
    pub(crate) fn forward(&self, cx: &mut Forward<'_>, mut x: Tensor, pooling: Pooling) -> Tensor {
        if pooling == Pooling::Rank {
            for step in &self.classifier {
                match step {
                    Step::Linear(linear) => x = cx.linear1(x, linear),
                    Step::Activate(activation) => cx.activate(x, *activation),
                    Step::Norm(norm) => x = norm.forward(cx, x),
                    Step::Softmax => cx.softmax(x),
                }
            }
        }
        for product in &self.products {
            x = cx.linear1(x, product);
        }
        x
    }
}

/// What is left of the rows of a text, which may come part by part.
#[derive(Debug, Clone)]
pub struct Reduction {
    pooling: Pooling,
    width: usize,
    n_rows: usize,
    rows: Vec<f32>,
    /// Of each column, for the mean.
    sums: Vec<f64>,
}

impl Reduction {
    /// Of rows of `width` values, of which [`Pooling::Rank`] keeps all.
    pub fn new(pooling: Pooling, width: usize) -> Self {
        let sums = if pooling == Pooling::Mean { vec![0.0; width] } else { Vec::new() };
        Self { pooling, width, n_rows: 0, rows: Vec::new(), sums }
    }

    /// Takes the next rows, `[rows][width]`.
    pub fn push(&mut self, rows: &[f32]) {
        let n_rows = rows.len() / self.width.max(1);
        match self.pooling {
            Pooling::None | Pooling::Rank => self.rows.extend_from_slice(rows),
            Pooling::First if self.n_rows > 0 || n_rows == 0 => {}
            Pooling::First => self.rows = rows[..self.width].to_vec(),
            Pooling::Last if n_rows == 0 => {}
            Pooling::Last => self.rows = rows[rows.len() - self.width..].to_vec(),
            Pooling::Mean => {
                for row in rows.chunks_exact(self.width.max(1)) {
                    self.sums.iter_mut().zip(row).for_each(|(sum, &v)| *sum += f64::from(v));
                }
            }
        }
        self.n_rows += n_rows;
    }

    /// The rows that are left: one, or as many as there were.
    pub fn finish(self) -> Vec<f32> {
        let n_rows = self.n_rows.max(1) as f64;
        match self.pooling {
            Pooling::Mean => self.sums.iter().map(|sum| (sum / n_rows) as f32).collect(),
            _ => self.rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_text_are_pooled_as_the_whole() {
        let rows: Vec<f32> = (0..12).map(|i| (i * i) as f32).collect();
        for (pooling, expected) in [
            (Pooling::None, rows.clone()),
            (Pooling::Rank, rows.clone()),
            (Pooling::First, vec![0.0, 1.0, 4.0]),
            (Pooling::Last, vec![81.0, 100.0, 121.0]),
            (Pooling::Mean, vec![31.5, 41.5, 53.5]),
        ] {
            for cut in [0, 3, 6, 12] {
                let mut reduction = Reduction::new(pooling, 3);
                reduction.push(&rows[..cut]);
                reduction.push(&rows[cut..]);
                assert_eq!(reduction.finish(), expected, "{pooling:?}, cut at {cut}");
            }
        }
    }
}

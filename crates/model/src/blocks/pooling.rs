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

    /// `[rows][n_embd]`, at least one row, to one row or as many: as the file says, or otherwise.
    ///
    /// # Errors
    /// No classifier for ranking.
    pub fn forward(
        &self,
        cx: &mut Forward<'_>,
        x: Tensor,
        pooling: Option<Pooling>,
    ) -> Result<Tensor, Error> {
        let pooling = pooling.unwrap_or(self.kind);
        let mut x = match if pooling == Pooling::Rank { self.scored } else { pooling } {
            Pooling::None | Pooling::Rank => x,
            Pooling::First => x.row_range(0..1),
            Pooling::Last => x.row_range(x.rows() - 1..x.rows()),
            Pooling::Mean => {
                let (rows, width) = (x.rows(), x.cols());
                let shares = cx.upload(&vec![1.0 / rows as f32; rows], rows);
                let flat = cx.concat(&[x]).reshape(1, rows * width);
                cx.mix_streams(flat, shares, width)
            }
        };
        if pooling == Pooling::Rank {
            if self.classifier.is_empty() {
                return Err(Error::NoClassifier);
            }
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
        Ok(x)
    }
}

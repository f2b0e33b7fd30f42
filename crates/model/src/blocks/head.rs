//! From the residual stream to what a model yields.

use backend::{Linear, Tensor, Weight};

use crate::OutputKind;
use crate::blocks::norm::RmsNorm;
use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::Hparams;
use crate::weights::Weights;

/// The final norm and the output matrix.
pub struct LmHead {
    norm: RmsNorm,
    output: Linear,
}

impl LmHead {
    /// Loads `output_norm` and `output`; without the latter the token embedding serves.
    pub fn load(w: &Weights<'_>, hp: &Hparams, token_embd: &Weight) -> Result<Self, Error> {
        let output = w.opt_linear("output", [hp.n_embd, token_embd.rows()])?;
        Ok(Self {
            norm: RmsNorm::load(w, "output_norm", hp.n_embd, hp.norm_eps)?,
            output: output.unwrap_or_else(|| Linear::plain(token_embd.clone())),
        })
    }

    /// `[rows][n_embd]` to `[rows][n_vocab]`.
    pub fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let x = self.norm.forward(&mut **cx, x);
        cx.linear1(x, &self.output)
    }
}

/// The end of a model that yields logits, or else its normed residual stream.
pub enum Head {
    /// One logit per vocabulary entry.
    Logits(LmHead),
    /// Embeddings need no output matrix.
    Embeddings(RmsNorm),
}

impl Head {
    /// Loads what `output` needs.
    pub fn load(
        w: &Weights<'_>,
        hp: &Hparams,
        token_embd: &Weight,
        output: OutputKind,
    ) -> Result<Self, Error> {
        Ok(match output {
            OutputKind::Logits => Head::Logits(LmHead::load(w, hp, token_embd)?),
            OutputKind::Embeddings(_) => {
                Head::Embeddings(RmsNorm::load(w, "output_norm", hp.n_embd, hp.norm_eps)?)
            }
        })
    }

    /// `[rows][n_embd]` to `[rows][Shape::output_width]`.
    pub fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        match self {
            Head::Logits(head) => head.forward(cx, x),
            Head::Embeddings(norm) => norm.forward(&mut **cx, x),
        }
    }
}

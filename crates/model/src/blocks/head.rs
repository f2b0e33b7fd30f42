//! From the residual stream to logits.

use backend::{Linear, Tensor, Weight};

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

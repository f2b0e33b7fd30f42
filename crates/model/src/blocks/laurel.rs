//! Learned augmented residuals of low rank (LAuReL, Menghani et al. 2024, arXiv:2411.07501).

use backend::{Linear, Tensor};

use crate::blocks::norm::{Norm, NormKind};
use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::Hparams;
use crate::weights::Weights;

/// A way around attention.
pub struct Laurel {
    down: Linear,
    up: Linear,
    norm: Norm,
}

impl Laurel {
    /// Loads a layer's `laurel_l`, `laurel_r` and `laurel_post_norm`.
    pub fn load(w: &Weights<'_>, hp: &Hparams, norm: NormKind, rank: usize) -> Result<Self, Error> {
        Ok(Self {
            down: w.linear("laurel_l", [hp.n_embd, rank])?,
            up: w.linear("laurel_r", [rank, hp.n_embd])?,
            norm: norm.load(w, "laurel_post_norm", hp.n_embd)?,
        })
    }

    /// `x + norm(up(down(x)))`.
    pub fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let y = cx.linear1(x, &self.down);
        let y = cx.linear1(y, &self.up);
        let y = self.norm.forward(cx, y);
        cx.add_assign(y, x);
        y
    }
}

//! Normalisation.

use backend::{Backend, Tensor, Vector};

use crate::error::Error;
use crate::weights::Weights;

/// Root-mean-square norm with a learned weight (Zhang & Sennrich 2019, arXiv:1910.07467).
pub struct RmsNorm {
    weight: Vector,
    eps: f32,
}

impl RmsNorm {
    /// Loads `NAME.weight` of `width` values.
    pub fn load(w: &Weights<'_>, name: &str, width: usize, eps: f32) -> Result<Self, Error> {
        Ok(Self { weight: w.vector(&format!("{name}.weight"), width)?, eps })
    }

    /// Normalises each group of as many columns as there are weights: whole rows, or heads.
    pub fn forward(&self, backend: &mut dyn Backend, x: Tensor) -> Tensor {
        backend.rms_norm(x, self.weight.len(), Some(&self.weight), self.eps)
    }
}

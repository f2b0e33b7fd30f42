//! Normalisation.

use backend::{Tensor, Vector};

use crate::error::Error;
use crate::forward::Forward;
use crate::weights::Weights;

/// A kind of normalisation, with its epsilon.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NormKind {
    /// Root-mean-square norm (Zhang & Sennrich 2019, arXiv:1910.07467).
    Rms(f32),
    /// Layer norm (Ba et al. 2016, arXiv:1607.06450).
    Layer(f32),
}

impl NormKind {
    /// Loads `NAME.weight` of `width` values, and `NAME.bias` where the file has it.
    pub fn load(self, w: &Weights<'_>, name: &str, width: usize) -> Result<Norm, Error> {
        self.load_groups(w, name, [width, 1])
    }

    /// Like [`NormKind::load`], but all may be missing.
    pub fn opt(self, w: &Weights<'_>, name: &str, width: usize) -> Result<Option<Norm>, Error> {
        w.has(&format!("{name}.weight")).then(|| self.load(w, name, width)).transpose()
    }

    /// Norms of groups of `width` columns: all with the same weights, or each of `n` with its own.
    pub fn load_groups(
        self,
        w: &Weights<'_>,
        name: &str,
        [width, n]: [usize; 2],
    ) -> Result<Norm, Error> {
        let mut parameter = format!("{name}.weight");
        // Some files lack the suffix.
        if !w.has(&parameter) && w.has(name) {
            parameter = name.into();
        }
        let flat = n > 1 && w.has_shape(&parameter, &[width * n]);
        let weight = match w.has_shape(&parameter, &[width, n]) {
            true => w.groups(&parameter, [width, n])?,
            false => w.vector(&parameter, if flat { width * n } else { width })?,
        };
        let bias = format!("{name}.bias");
        let bias = match flat {
            true => w.opt_vector(&bias, weight.len())?,
            false => w.opt_groups(&bias, [width, weight.len() / width])?,
        };
        Ok(Norm { kind: self, group: Some(width), weight: Some(weight), bias })
    }

    /// Of groups of `width` columns, with these weights.
    pub fn with_weight(self, width: usize, weight: Vector) -> Norm {
        Norm { kind: self, group: Some(width), weight: Some(weight), bias: None }
    }

    /// Of whole rows, without parameters.
    pub fn plain(self) -> Norm {
        Norm { kind: self, group: None, weight: None, bias: None }
    }

    /// Of groups of `width` columns, without parameters.
    pub fn plain_groups(self, width: usize) -> Norm {
        Norm { kind: self, group: Some(width), weight: None, bias: None }
    }
}

/// A norm with its parameters.
#[derive(Debug, Clone)]
pub struct Norm {
    kind: NormKind,
    group: Option<usize>,
    weight: Option<Vector>,
    bias: Option<Vector>,
}

impl Norm {
    /// `[rows][cols]` to the same.
    pub fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let group = self.group.unwrap_or(x.cols());
        let (weight, bias) = (self.weight.as_ref(), self.bias.as_ref());
        match self.kind {
            NormKind::Rms(eps) => cx.rms_norm(x, group, weight, bias, eps),
            NormKind::Layer(eps) => cx.layer_norm(x, group, weight, bias, eps),
        }
    }
}

/// The norm of `x`, or `x` where there is none.
pub fn normed(norm: &Option<Norm>, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
    norm.as_ref().map_or(x, |norm| norm.forward(cx, x))
}

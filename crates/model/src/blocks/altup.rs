//! Alternating updates (AltUp, Baykal et al. 2023, arXiv:2301.13310): the residual stream is
//! several streams wide, but each layer computes only on the first and predicts the others.
//!
//! The streams are side by side, `[rows][STREAMS * n_embd]`.

use backend::{Linear, Tensor, Vector};

use crate::blocks::norm::{Norm, NormKind};
use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::Hparams;
use crate::weights::Weights;

/// Parallel residual streams; the first is the active one.
pub const STREAMS: usize = 4;

/// From embeddings to streams and back.
pub struct AltUp {
    expand: Linear,
    merge: Vec<Linear>,
}

impl AltUp {
    /// Loads `altup_proj` and `altup_unembd_proj`.
    pub fn load(w: &Weights<'_>, n_embd: usize) -> Result<Self, Error> {
        let shape = [n_embd, n_embd, STREAMS - 1];
        let merge = w.stack("altup_unembd_proj.weight", shape)?.flattened();
        let rows = |i: usize| merge.slice_rows(i * n_embd..(i + 1) * n_embd);
        Ok(Self {
            expand: Linear::plain(w.stack("altup_proj.weight", shape)?.flattened()),
            merge: (0..STREAMS - 1).map(|i| Linear::plain(rows(i))).collect(),
        })
    }

    /// `[x | P_1 x | P_2 x | …]`, all of the length of `x`.
    pub fn expand(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let others = cx.linear1(x, &self.expand);
        cx.match_length(others, x);
        cx.concat(&[x, others])
    }

    /// The mean of the first stream and the others, those projected and brought to its length.
    pub fn merge(&self, cx: &mut Forward<'_>, streams: Tensor) -> Tensor {
        let first = stream(streams, 0);
        let mean = cx.concat(&[first]);
        for (i, projection) in self.merge.iter().enumerate() {
            let other = cx.linear1(stream(streams, i + 1), projection);
            cx.match_length(other, first);
            cx.add_assign(mean, other);
        }
        cx.scale(mean, 1.0 / STREAMS as f32);
        mean
    }
}

/// One layer's predictor and corrector of the streams.
pub struct AltUpLayer {
    router_norm: Norm,
    router: Linear,
    predict: Linear,
    correct: Linear,
    correct_scale: Vector,
}

impl AltUpLayer {
    /// Loads a layer's `altup_*`.
    pub fn load(w: &Weights<'_>, hp: &Hparams, norm: NormKind) -> Result<Self, Error> {
        let n_embd = hp.n_embd;
        let matrix = |name, shape| w.matrix(name, shape).map(Linear::plain);
        let router = matrix("altup_router.weight", [n_embd, STREAMS])?;
        let correct = matrix("altup_correct_coef.weight", [STREAMS, STREAMS])?;
        Ok(Self {
            router_norm: norm.load(w, "altup_router_norm", n_embd)?,
            router: Linear { scale: 1.0 / n_embd as f32, ..router },
            predict: matrix("altup_predict_coef.weight", [STREAMS, STREAMS * STREAMS])?,
            correct: Linear { bias: Some(Vector::new(vec![1.0; STREAMS])), ..correct },
            correct_scale: w.vector("altup_correct_scale.weight", n_embd)?,
        })
    }

    /// Moves the streams, in place, to what the layer is predicted to make of them:
    /// `x_i += Σ_j predict(route(x_0))[i][j] · x_j`.
    pub fn predict(&self, cx: &mut Forward<'_>, streams: Tensor) {
        let active = stream(streams, 0);
        let modalities = self.route(cx, active);
        let coefs = cx.linear1(modalities, &self.predict);
        let change = cx.mix_streams(streams, coefs, active.cols());
        cx.add_assign(streams, change);
    }

    /// Corrects the predictions, in place, by what the layer really made of the active stream:
    /// `x_i += (1 + correct(route(y))[i]) · (y - x_0)`. Overwrites `activated`, `y`.
    pub fn correct(&self, cx: &mut Forward<'_>, streams: Tensor, activated: Tensor) {
        let modalities = self.route(cx, activated);
        let coefs = cx.linear1(modalities, &self.correct);
        cx.add_scaled(activated, stream(streams, 0), -1.0);
        let change = cx.mix_streams(activated, coefs, activated.cols());
        cx.add_assign(streams, change);
    }

    /// The active stream as later parts of the layer see it.
    pub fn corrected(&self, cx: &mut Forward<'_>, streams: Tensor) -> Tensor {
        cx.mul_vector(stream(streams, 0), &self.correct_scale)
    }

    /// `tanh(router(norm(x)) / n_embd)`.
    fn route(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let x = self.router_norm.forward(cx, x);
        let modalities = cx.linear1(x, &self.router);
        cx.softcap(modalities, 1.0);
        modalities
    }
}

/// Adds `x` to all streams but the active one.
pub fn add_to_inactive(cx: &mut Forward<'_>, streams: Tensor, x: Tensor) {
    for i in 1..STREAMS {
        cx.add_assign(stream(streams, i), x);
    }
}

/// Stream `i`.
pub fn stream(streams: Tensor, i: usize) -> Tensor {
    let n_embd = streams.cols() / STREAMS;
    streams.columns(i * n_embd..(i + 1) * n_embd)
}

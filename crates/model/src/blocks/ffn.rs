//! Feed-forward parts.

use backend::{Activation, Glu, Linear, Tensor, Vector};

use crate::blocks::norm::{Norm, normed};
use crate::error::Error;
use crate::forward::Forward;
use crate::weights::Weights;

/// Any kind of feed-forward, `[rows][n_embd]` to the same.
pub trait FeedForward: Send + Sync {
    /// Its output for `x`.
    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor;
}

impl FeedForward for Box<dyn FeedForward> {
    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        (**self).forward(cx, x)
    }
}

/// Two products with a non-linearity between them. Its width is that of the file's tensors.
pub struct Ffn {
    hidden: Hidden,
    up: Linear,
    down: Linear,
    /// Only gates that exceed their token's mean by so many standard deviations open (Gemma 3n).
    pub sparsity: Option<f32>,
    /// Factors of the values between the products.
    pub hidden_scale: Option<Vector>,
    /// Before the second product.
    pub sub_norm: Option<Norm>,
}

enum Hidden {
    /// `act(up(x))`.
    Plain(Activation),
    /// `glu(gate(x), up(x))` (GLU variants, Shazeer 2020, arXiv:2002.05202).
    Gated(Linear, Glu),
    /// The same, with the gate as the first half of `up`.
    Fused(Glu),
}

impl Ffn {
    /// Loads `ffn_gate`, `ffn_up` and `ffn_down`.
    pub fn gated(w: &Weights<'_>, n_embd: usize, glu: impl Into<Glu>) -> Result<Self, Error> {
        Self::gated_named(w, "", n_embd, glu)
    }

    /// Like [`Ffn::gated`], with `suffix` after each name.
    pub fn gated_named(
        w: &Weights<'_>,
        suffix: &str,
        n_embd: usize,
        glu: impl Into<Glu>,
    ) -> Result<Self, Error> {
        let (up, down) = ends(w, suffix, n_embd, 1)?;
        let gate =
            scaled_bias(w.linear(&format!("ffn_gate{suffix}"), [n_embd, down.weight.cols()])?);
        Ok(Self::of(Hidden::Gated(gate, glu.into()), up, down))
    }

    /// Loads `ffn_up` and `ffn_down`.
    pub fn plain(w: &Weights<'_>, n_embd: usize, activation: Activation) -> Result<Self, Error> {
        Self::plain_named(w, "", n_embd, activation)
    }

    /// Like [`Ffn::plain`], with `suffix` after each name.
    pub fn plain_named(
        w: &Weights<'_>,
        suffix: &str,
        n_embd: usize,
        activation: Activation,
    ) -> Result<Self, Error> {
        let (up, down) = ends(w, suffix, n_embd, 1)?;
        Ok(Self::of(Hidden::Plain(activation), up, down))
    }

    /// Loads `ffn_up`, whose first half is the gate, and `ffn_down`, each name followed by `suffix`.
    pub fn fused(
        w: &Weights<'_>,
        suffix: &str,
        n_embd: usize,
        glu: impl Into<Glu>,
    ) -> Result<Self, Error> {
        let (up, down) = ends(w, suffix, n_embd, 2)?;
        Ok(Self::of(Hidden::Fused(glu.into()), up, down))
    }

    fn of(hidden: Hidden, up: Linear, down: Linear) -> Self {
        Self { hidden, up, down, sparsity: None, hidden_scale: None, sub_norm: None }
    }

    /// Width between the products.
    pub fn width(&self) -> usize {
        self.down.weight.cols()
    }
}

/// `ffn_up`, `parts` times as wide as the input of `ffn_down`, and that.
fn ends(
    w: &Weights<'_>,
    suffix: &str,
    n_embd: usize,
    parts: usize,
) -> Result<(Linear, Linear), Error> {
    let down = format!("ffn_down{suffix}");
    let n_ff = w.cols(&format!("{down}.weight"))?;
    let up = w.linear(&format!("ffn_up{suffix}"), [n_embd, parts * n_ff])?;
    Ok((scaled_bias(up), scaled_bias(w.linear(&down, [n_ff, n_embd])?)))
}

impl FeedForward for Ffn {
    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let n_ff = self.width();
        let hidden = match &self.hidden {
            Hidden::Plain(activation) => {
                let hidden = cx.linear1(x, &self.up);
                cx.activate(hidden, *activation);
                hidden
            }
            Hidden::Gated(gate, glu) => {
                let both = cx.linear(x, &[gate, &self.up]);
                let gate = both.columns(0..n_ff);
                if let Some(cutoff) = self.sparsity {
                    cx.gaussian_top(gate, cutoff);
                }
                cx.glu(gate, both.columns(n_ff..2 * n_ff), *glu)
            }
            Hidden::Fused(glu) => {
                let both = cx.linear1(x, &self.up);
                cx.glu(both.columns(0..n_ff), both.columns(n_ff..2 * n_ff), *glu)
            }
        };
        let hidden = match &self.hidden_scale {
            Some(factors) => cx.mul_vector(hidden, factors),
            None => hidden,
        };
        let hidden = normed(&self.sub_norm, cx, hidden);
        cx.linear1(hidden, &self.down)
    }
}

/// The scales of feed-forward products apply to their biases too, unlike those of attention.
fn scaled_bias(linear: Linear) -> Linear {
    let scaled = |bias: &Vector| bias.iter().map(|value| value * linear.scale).collect::<Vec<_>>();
    let bias = linear.bias.as_ref().map(|bias| Vector::new(scaled(bias)));
    Linear { bias, ..linear }
}

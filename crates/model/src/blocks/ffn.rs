//! Feed-forward parts.

use backend::{Activation, Linear, Tensor, Vector};

use crate::error::Error;
use crate::forward::Forward;
use crate::weights::Weights;

/// Any kind of feed-forward, `[rows][n_embd]` to the same.
pub trait FeedForward: Send + Sync {
    /// Its output for `x`.
    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor;
}

/// `down(act(gate(x)) * up(x))` (GLU variants, Shazeer 2020, arXiv:2002.05202).
pub struct GatedFfn {
    gate: Linear,
    up: Linear,
    down: Linear,
    activation: Activation,
    sparsity: Option<f32>,
}

impl GatedFfn {
    /// Loads `ffn_gate`, `ffn_up` and `ffn_down`, each name followed by `suffix`.
    pub fn load(
        w: &Weights<'_>,
        suffix: &str,
        [n_embd, n_ff]: [usize; 2],
        activation: Activation,
    ) -> Result<Self, Error> {
        let part = |name, shape| Ok::<_, Error>(scaled_bias(w.linear(name, shape)?));
        Ok(Self {
            gate: part(&format!("ffn_gate{suffix}"), [n_embd, n_ff])?,
            up: part(&format!("ffn_up{suffix}"), [n_embd, n_ff])?,
            down: part(&format!("ffn_down{suffix}"), [n_ff, n_embd])?,
            activation,
            sparsity: None,
        })
    }

    /// Only gates that exceed their token's mean by `cutoff` standard deviations open.
    pub fn with_sparsity(self, cutoff: f32) -> Self {
        Self { sparsity: Some(cutoff), ..self }
    }
}

impl FeedForward for GatedFfn {
    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let n_ff = self.gate.weight.rows();
        let both = cx.linear(x, &[&self.gate, &self.up]);
        let gate = both.columns(0..n_ff);
        let up = both.columns(n_ff..2 * n_ff);
        if let Some(cutoff) = self.sparsity {
            cx.gaussian_top(gate, cutoff);
        }
        let hidden = cx.glu(gate, up, self.activation);
        cx.linear1(hidden, &self.down)
    }
}

/// The scales of feed-forward products apply to their biases too, unlike those of attention.
fn scaled_bias(linear: Linear) -> Linear {
    let scaled = |bias: &Vector| bias.iter().map(|value| value * linear.scale).collect::<Vec<_>>();
    let bias = linear.bias.as_ref().map(|bias| Vector::new(scaled(bias)));
    Linear { bias, ..linear }
}

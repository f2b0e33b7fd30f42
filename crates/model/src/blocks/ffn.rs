//! Dense feed-forward.

use backend::{Activation, Linear, Tensor};

use crate::error::Error;
use crate::forward::Forward;
use crate::weights::Weights;

/// `down(act(gate(x)) * up(x))` (GLU variants, Shazeer 2020, arXiv:2002.05202).
pub struct GatedFfn {
    gate: Linear,
    up: Linear,
    down: Linear,
    activation: Activation,
}

impl GatedFfn {
    /// Loads `ffn_gate`, `ffn_up` and `ffn_down`, each name followed by `suffix`.
    pub fn load(
        w: &Weights<'_>,
        suffix: &str,
        [n_embd, n_ff]: [usize; 2],
        activation: Activation,
    ) -> Result<Self, Error> {
        Ok(Self {
            gate: w.linear(&format!("ffn_gate{suffix}"), [n_embd, n_ff])?,
            up: w.linear(&format!("ffn_up{suffix}"), [n_embd, n_ff])?,
            down: w.linear(&format!("ffn_down{suffix}"), [n_ff, n_embd])?,
            activation,
        })
    }

    /// `[rows][n_embd]` to the same.
    pub fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let n_ff = self.gate.weight.rows();
        let both = cx.linear(x, &[&self.gate, &self.up]);
        let gate = both.columns(0..n_ff);
        let up = both.columns(n_ff..2 * n_ff);
        let hidden = cx.glu(gate, up, self.activation);
        cx.linear1(hidden, &self.down)
    }
}

//! Mixture-of-experts feed-forward.

use backend::{Activation, Experts, Linear, Routing, Tensor};

use crate::blocks::ffn::{FeedForward, GatedFfn};
use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::Hparams;
use crate::weights::Weights;

/// A router and its experts.
pub struct MoeFfn {
    router: Linear,
    routing: Routing,
    experts: Experts,
}

impl MoeFfn {
    /// Loads `ffn_gate_inp` and the stacks `ffn_{gate,up,down}_exps` of experts of width `n_ff`.
    pub fn load(
        w: &Weights<'_>,
        hp: &Hparams,
        n_ff: usize,
        routing: Routing,
        activation: Activation,
    ) -> Result<Self, Error> {
        let (n_embd, n) = (hp.n_embd, hp.n_expert);
        Ok(Self {
            router: w.linear("ffn_gate_inp", [n_embd, n])?,
            routing,
            experts: Experts {
                gate: w.opt_stack("ffn_gate_exps.weight", [n_embd, n_ff, n])?,
                up: w.stack("ffn_up_exps.weight", [n_embd, n_ff, n])?,
                down: w.stack("ffn_down_exps.weight", [n_ff, n_embd, n])?,
                gate_scale: w.opt_vector("ffn_gate_exps.scale", n)?,
                up_scale: w.opt_vector("ffn_up_exps.scale", n)?,
                down_scale: w.opt_vector("ffn_down_exps.scale", n)?,
                activation,
            },
        })
    }
}

impl FeedForward for MoeFfn {
    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let logits = cx.linear1(x, &self.router);
        cx.moe(x, logits, &self.routing, &self.experts)
    }
}

/// Chosen experts and one that serves every token.
pub struct SharedMoe {
    routed: MoeFfn,
    shared: GatedFfn,
    gate: Option<Linear>,
}

impl SharedMoe {
    /// Adds the shared expert, `ffn_{gate,up,down}_shexp` of width `n_ff`.
    pub fn load(
        w: &Weights<'_>,
        routed: MoeFfn,
        [n_embd, n_ff]: [usize; 2],
        activation: Activation,
    ) -> Result<Self, Error> {
        let shared = GatedFfn::load(w, "_shexp", [n_embd, n_ff], activation)?;
        Ok(Self { routed, shared, gate: None })
    }

    /// The shared expert counts by `sigmoid(ffn_gate_inp_shexp(x))`.
    pub fn with_gate(self, w: &Weights<'_>, n_embd: usize) -> Result<Self, Error> {
        Ok(Self { gate: Some(w.linear("ffn_gate_inp_shexp", [n_embd, 1])?), ..self })
    }
}

impl FeedForward for SharedMoe {
    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let routed = self.routed.forward(cx, x);
        let mut shared = self.shared.forward(cx, x);
        if let Some(gate) = &self.gate {
            let gate = cx.linear1(x, gate);
            cx.activate(gate, Activation::Sigmoid);
            shared = cx.mix_streams(shared, gate, shared.cols());
        }
        cx.add_assign(routed, shared);
        routed
    }
}

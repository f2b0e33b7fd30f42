//! Mixture-of-experts feed-forward.

use std::ops::Range;

use backend::{
    Activation, ExpertGate, ExpertLinear, Experts, Gating, Glu, Groups, Linear, Routing, Tensor,
};

use crate::blocks::ffn::{FeedForward, Ffn};
use crate::blocks::norm::{Norm, normed};
use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::{Hparams, Keys};
use crate::weights::Weights;

/// The gated feed-forward of a layer, with SiLU: experts where the layer has a router, else dense.
pub fn silu_ffn(
    w: &Weights<'_>,
    hp: &Hparams,
    routing: &Routing,
) -> Result<Box<dyn FeedForward>, Error> {
    if w.has("ffn_gate_inp.weight") {
        return Ok(Box::new(Moe::load(w, hp, routing.clone(), Activation::Silu)?));
    }
    Ok(Box::new(Ffn::gated(w, hp.n_embd, Activation::Silu)?))
}

/// The same with other gates: of experts, and of the expert that serves every token or the dense
/// feed-forward.
pub fn gated_ffn(
    w: &Weights<'_>,
    hp: &Hparams,
    routing: &Routing,
    [of_experts, of_shared]: [Glu; 2],
) -> Result<Box<dyn FeedForward>, Error> {
    if !w.has("ffn_gate_inp.weight") {
        return Ok(Box::new(Ffn::gated(w, hp.n_embd, of_shared)?));
    }
    let mut moe = Moe::routed(w, hp, hp.n_embd, routing.clone(), of_experts)?;
    moe.shared = Some((Ffn::gated_named(w, "_shexp", hp.n_embd, of_shared)?, None));
    Ok(Box::new(moe))
}

/// SiLU's gates with the limits in these keys, each with one per layer: of experts, and of what
/// [`gated_ffn`] has beside them, which may be missing.
pub fn silu_limits(
    keys: &Keys<'_>,
    hp: &Hparams,
    limited: fn(f32) -> Glu,
) -> Result<impl Fn(usize) -> [Glu; 2] + use<>, Error> {
    let limits = |key: &str| keys.floats(key, hp.n_layer);
    let (experts, shared) = (limits("swiglu_clamp_exp")?, limits("swiglu_clamp_shexp")?);
    let glu = move |limits: &Option<Vec<f32>>, il: usize| match limits {
        Some(limits) if limits[il] > 1e-6 => limited(limits[il]),
        _ => Activation::Silu.into(),
    };
    Ok(move |il| [glu(&experts, il), glu(&shared, il)])
}

/// The same, but those of experts are also of what is beside them where the file names no others.
pub fn common_silu_limits(
    keys: &Keys<'_>,
    hp: &Hparams,
    limited: fn(f32) -> Glu,
) -> Result<impl Fn(usize) -> [Glu; 2] + use<>, Error> {
    let gates = silu_limits(keys, hp, limited)?;
    let common = keys.floats("swiglu_clamp_shexp", hp.n_layer)?.is_none();
    Ok(move |il| match (gates(il), common) {
        ([experts, _], true) => [experts, experts],
        (own, false) => own,
    })
}

/// How the file says that experts are chosen, by `default` probabilities unless it says so.
pub fn routing(keys: &Keys<'_>, hp: &Hparams, default: Gating) -> Result<Routing, Error> {
    let groups = keys.opt_usize("expert_group_count")?.filter(|&n| n > 1);
    let groups = match groups {
        None => None,
        Some(n) => {
            let n_used = keys.count("expert_group_used_count")?;
            if n_used >= n || !hp.n_expert.is_multiple_of(n) {
                return Err(Error::Value {
                    key: "expert_group_count".into(),
                    value: n.to_string(),
                    expected: format!("a divisor of {} experts above {n_used}", hp.n_expert),
                });
            }
            Some(Groups { n, n_used })
        }
    };
    Ok(Routing {
        gating: gating(keys)?.unwrap_or(default),
        groups,
        normalize: keys.opt_bool("expert_weights_norm")?.unwrap_or(false),
        scale: keys.opt_f32("expert_weights_scale")?.filter(|&scale| scale != 0.0).unwrap_or(1.0),
        ..Routing::softmax(hp.n_expert_used)
    })
}

fn gating(keys: &Keys<'_>) -> Result<Option<Gating>, Error> {
    Ok(match keys.opt_usize("expert_gating_func")? {
        None | Some(0) => None,
        Some(1) => Some(Gating::Softmax),
        Some(2) => Some(Gating::Sigmoid),
        Some(3) => Some(Gating::SoftmaxOfChosen),
        Some(4) => Some(Gating::SqrtSoftplus),
        Some(other) => {
            return Err(Error::Value {
                key: "expert_gating_func".into(),
                value: other.to_string(),
                expected: "1 to 4".into(),
            });
        }
    })
}

/// A router and its experts, and where the file has one an expert that serves every token. Widths
/// are those of the file's tensors.
pub struct Moe {
    /// Logits from the layer's input.
    pub router: Linear,
    /// From logits to experts.
    pub routing: Routing,
    /// Those to choose from.
    pub experts: Experts,
    /// Serves every token, by the sigmoid of its gate if it has one.
    pub shared: Option<(Ffn, Option<Linear>)>,
}

impl Moe {
    /// Loads what [`Moe::routed`] does, for the layer's input, and `ffn_{gate,up,down}_shexp` with
    /// `ffn_gate_inp_shexp`.
    pub fn load(
        w: &Weights<'_>,
        hp: &Hparams,
        routing: Routing,
        glu: impl Into<Glu>,
    ) -> Result<Self, Error> {
        let glu = glu.into();
        let shared = match (w.has("ffn_up_shexp.weight"), w.has("ffn_gate_shexp.weight")) {
            (false, _) => None,
            (true, true) => Some(Ffn::gated_named(w, "_shexp", hp.n_embd, glu)?),
            (true, false) => Some(Ffn::fused(w, "_shexp", hp.n_embd, glu)?),
        };
        let shared_gate = w.opt_linear("ffn_gate_inp_shexp", [hp.n_embd, 1])?;
        let shared = shared.map(|shared| (shared, shared_gate));
        Ok(Self { shared, ..Self::routed(w, hp, hp.n_embd, routing, glu)? })
    }

    /// Loads `ffn_gate_inp`, the stacks `ffn_{gate,up,down}_exps` or `ffn_gate_up_exps` for an input
    /// of `width` values, and the selection bias `exp_probs_b`.
    pub fn routed(
        w: &Weights<'_>,
        hp: &Hparams,
        width: usize,
        routing: Routing,
        glu: impl Into<Glu>,
    ) -> Result<Self, Error> {
        let selection_bias = match w.opt_vector("exp_probs_b.bias", hp.n_expert)? {
            Some(bias) => Some(bias),
            None => w.opt_vector("exp_probs_b", hp.n_expert)?,
        };
        Ok(Self {
            router: w.linear("ffn_gate_inp", [hp.n_embd, hp.n_expert])?,
            routing: Routing { selection_bias, ..routing },
            experts: load_experts(w, "exps", width, hp.n_expert, glu.into())?,
            shared: None,
        })
    }

    /// The experts' output for `x`, chosen by these logits.
    pub fn forward_routed(&self, cx: &mut Forward<'_>, x: Tensor, logits: Tensor) -> Tensor {
        let routed = cx.moe(x, logits, &self.routing, &self.experts);
        if let Some((shared, gate)) = &self.shared {
            let mut shared = shared.forward(cx, x);
            if let Some(gate) = gate {
                let gate = cx.linear1(x, gate);
                cx.activate(gate, Activation::Sigmoid);
                shared = cx.mix_streams(shared, gate, shared.cols());
            }
            cx.add_assign(routed, shared);
        }
        routed
    }
}

impl FeedForward for Moe {
    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let logits = cx.linear1(x, &self.router);
        self.forward_routed(cx, x, logits)
    }
}

/// Experts between two products, on a narrower input than the router's and that of the expert that
/// serves every token.
pub struct LatentMoe {
    /// To the narrow input; without it the input is what it is.
    pub down: Option<Linear>,
    /// The experts to choose from.
    pub experts: Moe,
    /// Of the experts' output.
    pub norm: Option<Norm>,
    /// Back to the whole width.
    pub up: Option<Linear>,
    /// Serves every token.
    pub shared: Option<Ffn>,
}

impl FeedForward for LatentMoe {
    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let logits = cx.linear1(x, &self.experts.router);
        let narrow = self.down.as_ref().map_or(x, |down| cx.linear1(x, down));
        let y = self.experts.forward_routed(cx, narrow, logits);
        let y = normed(&self.norm, cx, y);
        let y = self.up.as_ref().map_or(y, |up| cx.linear1(y, up));
        if let Some(shared) = &self.shared {
            let shared = shared.forward(cx, x);
            cx.add_assign(y, shared);
        }
        y
    }
}

/// `n` experts: the stacks `ffn_{gate,up,down}_NAME`, or `ffn_gate_up_NAME` with gates first, or in
/// old files a tensor for each. Those without gates have the activation alone.
pub fn load_experts(
    w: &Weights<'_>,
    name: &str,
    n_embd: usize,
    n: usize,
    glu: Glu,
) -> Result<Experts, Error> {
    let n_ff = match w.has("ffn_down.0.weight") {
        true => w.cols("ffn_down.0.weight")?,
        false => w.cols(&format!("ffn_down_{name}.weight"))?,
    };
    let required = |part: &str, shape| {
        let missing =
            || Error::MissingTensor { name: w.full_name(&format!("ffn_{part}_{name}.weight")) };
        opt_part(w, part, name, shape)?.ok_or_else(missing)
    };
    let down = required("down", [n_ff, n_embd, n])?;
    if let Some(both) = opt_part(w, "gate_up", name, [n_embd, 2 * n_ff, n])? {
        let scale = w.opt_vector(&format!("ffn_up_{name}.scale"), n)?;
        let half = |rows: Range<usize>| ExpertLinear {
            weight: both.weight.slice_rows(rows.clone()),
            scale: scale.clone(),
            bias: both.bias.as_ref().map(|bias| {
                let experts = bias.chunks(2 * n_ff);
                experts.flat_map(|bias| bias[rows.clone()].to_vec()).collect::<Vec<_>>().into()
            }),
        };
        let gate = ExpertGate::Gated(half(0..n_ff), glu);
        return Ok(Experts { gate, up: half(n_ff..2 * n_ff), down });
    }
    let shape = [n_embd, n_ff, n];
    let gate = match (opt_part(w, "gate", name, shape)?, glu) {
        (None, Glu::Plain(activation)) => ExpertGate::Plain(activation),
        (Some(gate), glu) => ExpertGate::Gated(gate, glu),
        (None, glu) => ExpertGate::Gated(required("gate", shape)?, glu),
    };
    Ok(Experts { gate, up: required("up", shape)?, down })
}

/// A part of all experts, if the file has it.
fn opt_part(
    w: &Weights<'_>,
    part: &str,
    name: &str,
    shape: [usize; 3],
) -> Result<Option<ExpertLinear>, Error> {
    let of_expert = |e: usize| format!("ffn_{part}.{e}.weight");
    if !w.has(&of_expert(0)) {
        return w.opt_expert_linear(&format!("ffn_{part}_{name}"), shape);
    }
    let weight = w.gathered(of_expert, shape)?;
    Ok(Some(ExpertLinear { weight, scale: None, bias: None }))
}

//! Layers that correct their memory: gated delta net and Kimi delta attention.

use backend::{
    Activation, HeadSharing, Linear, LinearAttention, ShortConv, Tensor, Update, Vector,
};

use crate::blocks::layer::Mixer;
use crate::blocks::norm::{Norm, NormKind};
use crate::blocks::short_conv::{self, silu_conv};
use crate::blocks::ssm::{SsmShape, repeated};
use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::{Heads, Hparams, Keys};
use crate::weights::Weights;

/// Heads of queries and keys divided by their lengths: `x / sqrt(Σ x² + eps)`.
fn unit_heads(cx: &mut Forward<'_>, x: Tensor, head_dim: usize, eps: f32) -> Tensor {
    let n = head_dim as f32;
    let x = cx.rms_norm(x, head_dim, None, None, eps / n);
    cx.scale(x, 1.0 / n.sqrt());
    x
}

/// Gated delta net (Yang et al. 2024, arXiv:2412.06464) as in Qwen3-Next and Qwen3.5. Heads are as
/// wide as [`SsmShape::state`]; there are `groups` heads of queries and keys and `dt_rank` of values.
pub struct GatedDeltaNet {
    shape: SsmShape,
    input: Input,
    beta_alpha: Vec<Linear>,
    /// Beta and alpha come together for each key head.
    interleaved: bool,
    conv: ShortConv,
    a: Vector,
    norm: Norm,
    output: Linear,
    sharing: HeadSharing,
    gate: Activation,
    eps: f32,
}

/// Where queries, keys, values and gates come from.
enum Input {
    /// `attn_qkv` and `attn_gate`.
    Split([Linear; 2]),
    /// `ssm_in`, with all four together for each key head.
    Interleaved(Linear),
}

impl GatedDeltaNet {
    /// Loads `attn_qkv` and `attn_gate`, or `ssm_in`; `ssm_beta` and `ssm_alpha`, or `ssm_ba`;
    /// `ssm_conv1d`, `ssm_dt`, `ssm_a`, `ssm_norm` and `ssm_out`.
    pub fn load(
        w: &Weights<'_>,
        shape: SsmShape,
        eps: f32,
        sharing: HeadSharing,
    ) -> Result<Self, Error> {
        let SsmShape { n_embd, kernel, state, dt_rank, groups, .. } = shape;
        let inner = state * dt_rank;
        if shape.inner != inner || !dt_rank.is_multiple_of(groups) {
            return Err(Error::Value {
                key: "ssm.inner_size".into(),
                value: shape.inner.to_string(),
                expected: format!("{dt_rank} heads of {state}, a multiple of {groups}"),
            });
        }
        let qkv_width = 2 * state * groups + inner;
        let input = match w.opt_linear("attn_qkv", [n_embd, qkv_width])? {
            Some(qkv) => Input::Split([qkv, w.linear("attn_gate", [n_embd, inner])?]),
            None => Input::Interleaved(w.linear("ssm_in", [n_embd, qkv_width + inner])?),
        };
        let dt = w.vector("ssm_dt.bias", dt_rank)?;
        let interleaved = w.has("ssm_ba.weight");
        let beta_alpha = if interleaved {
            let mut bias = Vec::with_capacity(2 * dt_rank);
            for dt in dt.chunks_exact(dt_rank / groups) {
                bias.resize(bias.len() + dt.len(), 0.0);
                bias.extend_from_slice(dt);
            }
            let both = w.linear("ssm_ba", [n_embd, 2 * dt_rank])?;
            vec![Linear { bias: Some(Vector::new(bias)), ..both }]
        } else {
            let alpha = w.linear("ssm_alpha", [n_embd, dt_rank])?;
            let beta = w.linear("ssm_beta", [n_embd, dt_rank])?;
            vec![beta, Linear { bias: Some(dt), ..alpha }]
        };
        Ok(Self {
            shape,
            input,
            beta_alpha,
            interleaved,
            conv: short_conv::load(w, "ssm_conv1d", [kernel, qkv_width])?,
            a: w.vector("ssm_a", dt_rank)?,
            norm: NormKind::Rms(eps).load(w, "ssm_norm", state)?,
            output: w.linear("ssm_out", [inner, n_embd])?,
            sharing,
            gate: Activation::Silu,
            eps,
        })
    }

    /// With another function of gates than SiLU.
    pub fn with_gate(self, gate: Activation) -> Self {
        Self { gate, ..self }
    }

    /// Queries, keys and values as columns of one tensor, and gates.
    fn inputs(&self, cx: &mut Forward<'_>, x: Tensor) -> [Tensor; 2] {
        let SsmShape { state, dt_rank, groups, .. } = self.shape;
        let inner = state * dt_rank;
        let qkvz = match &self.input {
            Input::Split([qkv, z]) => cx.linear(x, &[qkv, z]),
            Input::Interleaved(input) => {
                let qkvz = cx.linear1(x, input);
                let per_group = inner / groups;
                cx.deinterleave(qkvz, &[state, state, per_group, per_group])
            }
        };
        let qkv_width = qkvz.cols() - inner;
        [qkvz.columns(0..qkv_width), qkvz.columns(qkv_width..qkvz.cols())]
    }
}

impl Mixer for GatedDeltaNet {
    fn states(&self) -> Vec<usize> {
        let SsmShape { state, dt_rank, .. } = self.shape;
        vec![self.conv.state_len(), dt_rank * state * state]
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor) -> Tensor {
        let SsmShape { state, dt_rank, groups, .. } = self.shape;
        let [qkv, z] = self.inputs(cx, x);
        let parts: Vec<&Linear> = self.beta_alpha.iter().collect();
        let mut ba = cx.linear(x, &parts);
        if self.interleaved {
            ba = cx.deinterleave(ba, &[dt_rank / groups; 2]);
        }
        let (beta, alpha) = (ba.columns(0..dt_rank), ba.columns(dt_rank..2 * dt_rank));
        cx.activate(beta, Activation::Sigmoid);
        cx.activate(alpha, Activation::Softplus);
        let log_decay = cx.mul_vector(alpha, &self.a);

        let qkv = silu_conv(cx, qkv, &self.conv, [il, 0]);
        let keys = state * groups;
        let qk = unit_heads(cx, qkv.columns(0..2 * keys), state, self.eps);
        let attention = LinearAttention {
            q: qk.columns(0..keys),
            k: qk.columns(keys..2 * keys),
            v: qkv.columns(2 * keys..qkv.cols()),
            log_decay,
            beta: Some(beta),
            update: Update::Delta,
            n_head: dt_rank,
            n_head_k: groups,
            sharing: self.sharing,
            scale: 1.0 / (state as f32).sqrt(),
        };
        let y = cx.linear_attention(&attention, [il, 1]);
        let y = self.norm.forward(cx, y);
        let y = cx.glu(z, y, self.gate.into());
        cx.linear1(y, &self.output)
    }
}

/// Kimi delta attention (Kimi Team 2025, arXiv:2510.26692): gated delta net with a decay for each
/// value of a key.
pub struct Kda {
    shape: KdaShape,
    qkv: Vec<Linear>,
    conv: ShortConv,
    /// Products one after the other.
    decay: Vec<Linear>,
    decay_kind: Decay,
    beta: Linear,
    /// Products one after the other.
    gate: Vec<Linear>,
    norm: Norm,
    output: Linear,
}

/// From the decay's products to logarithms of decays.
enum Decay {
    /// `a · softplus(x)`.
    Softplus(Vector),
    /// `bound · sigmoid(a · x)`.
    Bounded(Vector, f32),
}

/// The sizes of Kimi delta attention.
#[derive(Debug, Clone, Copy)]
pub struct KdaShape {
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Number of heads.
    pub n_head: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Values that convolutions see.
    pub kernel: usize,
    /// Of norms.
    pub eps: f32,
    /// Of the lengths of queries and keys.
    pub length_eps: f32,
}

impl KdaShape {
    /// As the file says; the heads are as many as those of the first layer with attention.
    pub fn load(keys: &Keys<'_>, hp: &Hparams) -> Result<Self, Error> {
        let head_dim = keys.count("kda.head_dim")?;
        let n_head = hp.n_head.iter().copied().find(|&n| n > 0).unwrap_or(0);
        let heads = Heads { n_head, n_head_kv: n_head, head_dim, head_dim_v: head_dim };
        heads.check()?;
        let eps = keys.f32("attention.layer_norm_rms_epsilon")?;
        let kernel = keys.count("ssm.conv_kernel")?;
        Ok(Self { n_embd: hp.n_embd, n_head, head_dim, kernel, eps, length_eps: eps })
    }
}

/// How a model's decays are bounded.
#[derive(Debug, Clone, Copy)]
pub enum DecayBound {
    /// Not at all.
    None,
    /// From below, with the file's `ssm_a` times this sign.
    Below {
        /// Least logarithm.
        bound: f32,
        /// Of `ssm_a`.
        sign: f32,
    },
}

impl Kda {
    /// Loads `attn_qkv`, or `attn_q`, `attn_k` and `attn_v`, `ssm_conv1d_{q,k,v}`, `ssm_f_a` with
    /// or without `ssm_f_b`, `ssm_dt`, `ssm_a`, `ssm_beta`, `ssm_g`, or `ssm_g_a` with or without
    /// `ssm_g_b`, `ssm_norm` and `attn_output`.
    pub fn load(w: &Weights<'_>, shape: KdaShape, bound: DecayBound) -> Result<Self, Error> {
        let KdaShape { n_embd, n_head, head_dim, kernel, eps, .. } = shape;
        let inner = n_head * head_dim;
        let part = |name| w.linear(name, [n_embd, inner]);
        let qkv = match w.opt_linear("attn_qkv", [n_embd, 3 * inner])? {
            Some(qkv) => vec![qkv],
            None => vec![part("attn_q")?, part("attn_k")?, part("attn_v")?],
        };
        let names = ["ssm_conv1d_q", "ssm_conv1d_k", "ssm_conv1d_v"];
        let mut decay = chain(w, ["ssm_f_a", "ssm_f_b"], [n_embd, inner])?;
        if let Some(last) = decay.last_mut() {
            last.bias = Some(w.vector("ssm_dt.bias", inner)?);
        }
        let a = match w.has_shape("ssm_a", &[1, n_head]) {
            true => w.values("ssm_a", &[1, n_head])?,
            false => w.vector("ssm_a", n_head)?,
        };
        let a = repeated(&a, head_dim);
        Ok(Self {
            shape,
            qkv,
            conv: short_conv::load_joined(w, &names, [kernel, inner])?,
            decay,
            decay_kind: match bound {
                DecayBound::None => Decay::Softplus(a),
                DecayBound::Below { bound, sign } => {
                    let signed = a.iter().map(|a| sign * a).collect::<Vec<_>>();
                    Decay::Bounded(Vector::new(signed), bound)
                }
            },
            beta: w.linear("ssm_beta", [n_embd, n_head])?,
            gate: match w.opt_linear("ssm_g", [n_embd, inner])? {
                Some(gate) => vec![gate],
                None => chain(w, ["ssm_g_a", "ssm_g_b"], [n_embd, inner])?,
            },
            norm: NormKind::Rms(eps).load(w, "ssm_norm", head_dim)?,
            output: w.linear("attn_output", [inner, n_embd])?,
        })
    }

    fn log_decay(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let x = run(cx, x, &self.decay);
        match &self.decay_kind {
            Decay::Softplus(a) => {
                cx.activate(x, Activation::Softplus);
                cx.mul_vector(x, a)
            }
            Decay::Bounded(a, bound) => {
                let x = cx.mul_vector(x, a);
                cx.activate(x, Activation::Sigmoid);
                cx.scale(x, *bound);
                x
            }
        }
    }
}

/// One product, or two if the file has the second.
fn chain(
    w: &Weights<'_>,
    [first, second]: [&str; 2],
    [n_in, n_out]: [usize; 2],
) -> Result<Vec<Linear>, Error> {
    let name = format!("{second}.weight");
    if !w.has(&name) {
        return Ok(vec![w.linear(first, [n_in, n_out])?]);
    }
    let rank = w.cols(&name)?;
    Ok(vec![w.linear(first, [n_in, rank])?, w.linear(second, [rank, n_out])?])
}

/// Products one after the other.
fn run(cx: &mut Forward<'_>, x: Tensor, chain: &[Linear]) -> Tensor {
    chain.iter().fold(x, |x, linear| cx.linear1(x, linear))
}

impl Mixer for Kda {
    fn states(&self) -> Vec<usize> {
        let KdaShape { n_head, head_dim, .. } = self.shape;
        vec![self.conv.state_len(), n_head * head_dim * head_dim]
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor) -> Tensor {
        let KdaShape { n_head, head_dim, length_eps, .. } = self.shape;
        let inner = n_head * head_dim;
        let parts: Vec<&Linear> = self.qkv.iter().collect();
        let qkv = cx.linear(x, &parts);
        let qkv = silu_conv(cx, qkv, &self.conv, [il, 0]);
        let qk = unit_heads(cx, qkv.columns(0..2 * inner), head_dim, length_eps);
        let log_decay = self.log_decay(cx, x);
        let beta = cx.linear1(x, &self.beta);
        cx.activate(beta, Activation::Sigmoid);
        let attention = LinearAttention {
            q: qk.columns(0..inner),
            k: qk.columns(inner..2 * inner),
            v: qkv.columns(2 * inner..3 * inner),
            log_decay,
            beta: Some(beta),
            update: Update::Delta,
            n_head,
            n_head_k: n_head,
            sharing: HeadSharing::Neighbours,
            scale: 1.0 / (head_dim as f32).sqrt(),
        };
        let y = cx.linear_attention(&attention, [il, 1]);
        let y = self.norm.forward(cx, y);
        let gate = run(cx, x, &self.gate);
        let y = cx.glu(gate, y, Activation::Sigmoid.into());
        cx.linear1(y, &self.output)
    }
}

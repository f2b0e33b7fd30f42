//! State-space models.

use backend::{
    Activation, HeadSharing, Linear, LinearAttention, SelectiveScan, ShortConv, Tensor, Update,
    Vector,
};

use crate::blocks::layer::Mixer;
use crate::blocks::norm::{Norm, NormKind, normed};
use crate::blocks::short_conv::{self, silu_conv};
use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::Keys;
use crate::weights::Weights;

/// The sizes of a state-space layer.
#[derive(Debug, Clone, Copy)]
pub struct SsmShape {
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Values that the convolution sees.
    pub kernel: usize,
    /// Number of channels.
    pub inner: usize,
    /// States per channel.
    pub state: usize,
    /// Rank of the step sizes; for Mamba-2 the number of heads.
    pub dt_rank: usize,
    /// Groups of heads that share B and C.
    pub groups: usize,
}

impl SsmShape {
    /// Reads the keys under `ssm`.
    pub fn load(keys: &Keys<'_>, n_embd: usize) -> Result<Self, Error> {
        Ok(Self {
            n_embd,
            kernel: keys.count("ssm.conv_kernel")?,
            inner: keys.width("ssm.inner_size")?,
            state: keys.count("ssm.state_size")?,
            dt_rank: keys.count("ssm.time_step_rank")?,
            groups: match keys.opt_usize("ssm.group_count")? {
                None | Some(0) => 1,
                Some(_) => keys.count("ssm.group_count")?,
            },
        })
    }

    /// Checks that heads divide the channels, and groups the heads.
    pub fn check_heads(self) -> Result<Self, Error> {
        let Self { inner, dt_rank, groups, .. } = self;
        if inner.is_multiple_of(dt_rank) && dt_rank.is_multiple_of(groups) {
            return Ok(self);
        }
        Err(Error::Value {
            key: "ssm.time_step_rank".into(),
            value: dt_rank.to_string(),
            expected: format!("a divisor of {inner} and a multiple of {groups}"),
        })
    }
}

/// Mamba (Gu & Dao 2023, arXiv:2312.00752).
pub struct Mamba {
    shape: SsmShape,
    input: Linear,
    conv: ShortConv,
    x: Linear,
    norms: Option<[Norm; 3]>,
    dt: Linear,
    a: Vector,
    d: Vector,
    output: Linear,
}

impl Mamba {
    /// Loads `ssm_in`, `ssm_conv1d`, `ssm_x`, `ssm_dt`, `ssm_a`, `ssm_d` and `ssm_out`; `norms` are
    /// those of step sizes, B and C.
    pub fn load(w: &Weights<'_>, shape: SsmShape, norms: Option<[Norm; 3]>) -> Result<Self, Error> {
        let SsmShape { n_embd, kernel, inner, state, dt_rank, .. } = shape;
        Ok(Self {
            shape,
            input: w.linear("ssm_in", [n_embd, 2 * inner])?,
            conv: short_conv::load(w, "ssm_conv1d", [kernel, inner])?,
            x: w.linear("ssm_x", [inner, dt_rank + 2 * state])?,
            norms,
            dt: w.linear("ssm_dt", [dt_rank, inner])?,
            a: w.groups("ssm_a", [state, inner])?,
            d: w.vector("ssm_d", inner)?,
            output: w.linear("ssm_out", [inner, n_embd])?,
        })
    }
}

impl Mixer for Mamba {
    fn states(&self) -> Vec<usize> {
        vec![self.conv.state_len(), self.a.len()]
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor) -> Tensor {
        let SsmShape { inner, state, dt_rank, .. } = self.shape;
        let xz = cx.linear1(x, &self.input);
        let (x, z) = (xz.columns(0..inner), xz.columns(inner..2 * inner));
        let x = silu_conv(cx, x, &self.conv, [il, 0]);
        let dbc = cx.linear1(x, &self.x);
        let mut parts = [
            dbc.columns(0..dt_rank),
            dbc.columns(dt_rank..dt_rank + state),
            dbc.columns(dt_rank + state..dt_rank + 2 * state),
        ];
        if let Some(norms) = &self.norms {
            for (part, norm) in parts.iter_mut().zip(norms) {
                *part = norm.forward(cx, *part);
            }
        }
        let [dt, b, c] = parts;
        let dt = cx.linear1(dt, &self.dt);
        cx.activate(dt, Activation::Softplus);
        let y = cx.selective_scan(&SelectiveScan { x, dt, b, c, a: &self.a }, [il, 1]);
        let y = skip_and_gate(cx, y, x, &self.d, z);
        cx.linear1(y, &self.output)
    }
}

/// `(y + d * x) * silu(z)`.
fn skip_and_gate(cx: &mut Forward<'_>, y: Tensor, x: Tensor, d: &Vector, z: Tensor) -> Tensor {
    let skipped = cx.mul_vector(x, d);
    cx.add_assign(y, skipped);
    cx.glu(z, y, Activation::Silu.into())
}

/// The scan of Mamba-2: heads with one rate each.
pub struct Ssd {
    shape: SsmShape,
    a: Vector,
    d: Vector,
}

/// What [`Ssd`] takes.
pub struct SsdInput {
    /// `[rows][inner]`.
    pub x: Tensor,
    /// `[rows][groups * state]`.
    pub b: Tensor,
    /// `[rows][groups * state]`.
    pub c: Tensor,
    /// Step sizes before softplus, `[rows][heads]`.
    pub dt: Tensor,
    /// Gates, `[rows][inner]`.
    pub z: Tensor,
}

impl Ssd {
    /// Loads `ssm_a` and `ssm_d`, one value per head.
    pub fn load(w: &Weights<'_>, shape: SsmShape) -> Result<Self, Error> {
        let shape = shape.check_heads()?;
        let n_head = shape.dt_rank;
        let per_head = |name| match w.has_shape(name, &[1, n_head]) {
            true => w.values(name, &[1, n_head]),
            false => w.vector(name, n_head),
        };
        Ok(Self {
            shape,
            a: per_head("ssm_a")?,
            d: repeated(&per_head("ssm_d")?, shape.inner / n_head),
        })
    }

    /// Values of the state.
    pub fn state_len(&self) -> usize {
        self.shape.inner * self.shape.state
    }

    /// The gated output, `[rows][inner]`.
    pub fn forward(&self, cx: &mut Forward<'_>, input: SsdInput, state: [usize; 2]) -> Tensor {
        let SsdInput { x, b, c, dt, z } = input;
        cx.activate(dt, Activation::Softplus);
        let attention = LinearAttention {
            q: c,
            k: b,
            v: x,
            log_decay: cx.mul_vector(dt, &self.a),
            beta: Some(dt),
            update: Update::Add,
            n_head: self.shape.dt_rank,
            n_head_k: self.shape.groups,
            sharing: HeadSharing::Neighbours,
            scale: 1.0,
        };
        let y = cx.linear_attention(&attention, state);
        skip_and_gate(cx, y, x, &self.d, z)
    }
}

/// Each value `n` times.
pub fn repeated(values: &[f32], n: usize) -> Vector {
    Vector::new(values.iter().flat_map(|&v| std::iter::repeat_n(v, n)).collect::<Vec<_>>())
}

/// Mamba-2 (Dao & Gu 2024, arXiv:2405.21060).
pub struct Mamba2 {
    shape: SsmShape,
    input: Linear,
    conv: ShortConv,
    ssd: Ssd,
    norm: Option<Norm>,
    output: Linear,
}

impl Mamba2 {
    /// Loads `ssm_in`, `ssm_conv1d`, `ssm_dt`, `ssm_a`, `ssm_d`, `ssm_out` and, where the file has
    /// it, `ssm_norm`, whose kind is `norm`.
    pub fn load(w: &Weights<'_>, shape: SsmShape, norm: NormKind) -> Result<Self, Error> {
        let SsmShape { n_embd, kernel, inner, state, dt_rank, groups } = shape;
        let conv_width = inner + 2 * groups * state;
        let width = inner + conv_width + dt_rank;
        let input = w.linear("ssm_in", [n_embd, width])?;
        // The bias of step sizes, which are the last columns.
        let mut bias = vec![0.0; width - dt_rank];
        bias.extend_from_slice(&w.vector("ssm_dt.bias", dt_rank)?);
        let has_norm = w.has("ssm_norm.weight");
        let norm = has_norm.then(|| norm.load_groups(w, "ssm_norm", [inner / groups, groups]));
        Ok(Self {
            shape,
            input: Linear { bias: Some(Vector::new(bias)), ..input },
            conv: short_conv::load(w, "ssm_conv1d", [kernel, conv_width])?,
            ssd: Ssd::load(w, shape)?,
            norm: norm.transpose()?,
            output: w.linear("ssm_out", [inner, n_embd])?,
        })
    }
}

impl Mixer for Mamba2 {
    fn states(&self) -> Vec<usize> {
        vec![self.conv.state_len(), self.ssd.state_len()]
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor) -> Tensor {
        let SsmShape { inner, state, groups, .. } = self.shape;
        let conv_width = inner + 2 * groups * state;
        let zxbcdt = cx.linear1(x, &self.input);
        let z = zxbcdt.columns(0..inner);
        let xbc = zxbcdt.columns(inner..inner + conv_width);
        let dt = zxbcdt.columns(inner + conv_width..zxbcdt.cols());
        let xbc = silu_conv(cx, xbc, &self.conv, [il, 0]);
        let x = xbc.columns(0..inner);
        let b = xbc.columns(inner..inner + groups * state);
        let c = xbc.columns(inner + groups * state..conv_width);
        let y = self.ssd.forward(cx, SsdInput { x, b, c, dt, z }, [il, 1]);
        let y = normed(&self.norm, cx, y);
        cx.linear1(y, &self.output)
    }
}

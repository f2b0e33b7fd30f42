//! Time mixing of RWKV.

use backend::{Activation, HeadSharing, Linear, LinearAttention, Tensor, Update, Vector, Weight};

use crate::blocks::norm::{Norm, NormKind};
use crate::error::Error;
use crate::forward::Forward;
use crate::hparams::Keys;
use crate::weights::Weights;

/// Epsilon of the norm of heads.
const HEAD_EPS: f32 = 64e-5;

/// The heads of a layer.
#[derive(Debug, Clone, Copy)]
pub struct WkvShape {
    /// Width of the residual stream, which is that of all heads together.
    pub n_embd: usize,
    /// Number of heads.
    pub n_head: usize,
    /// Width of a head.
    pub head_dim: usize,
}

impl WkvShape {
    /// Reads `wkv.head_size`.
    pub fn load(keys: &Keys<'_>, n_embd: usize) -> Result<Self, Error> {
        let head_dim = keys.count("wkv.head_size")?;
        if !n_embd.is_multiple_of(head_dim) {
            let expected = format!("a divisor of {n_embd}");
            let (key, value) = ("wkv.head_size".into(), head_dim.to_string());
            return Err(Error::Value { key, value, expected });
        }
        Ok(Self { n_embd, n_head: n_embd / head_dim, head_dim })
    }

    /// Values of the state.
    pub fn state_len(self) -> usize {
        self.n_embd * self.head_dim
    }
}

/// `x + factors * delta`.
pub fn lerp(cx: &mut Forward<'_>, x: Tensor, delta: Tensor, factors: &Vector) -> Tensor {
    let mixed = cx.mul_vector(delta, factors);
    cx.add_assign(mixed, x);
    mixed
}

/// Two small products with a non-linearity between them.
struct Lora {
    down: Linear,
    activation: Option<Activation>,
    up: Linear,
}

impl Lora {
    /// Loads `time_mix_NAME1` and `time_mix_NAME2`, of any rank, and the bias `time_mix_BIAS`.
    fn load(
        w: &Weights<'_>,
        name: &str,
        bias: Option<&str>,
        n_embd: usize,
        activation: Option<Activation>,
    ) -> Result<Self, Error> {
        let [down, up] = [1, 2].map(|i| format!("time_mix_{name}{i}"));
        let rank = w.cols(&format!("{up}.weight"))?;
        let bias = bias.map(|bias| w.vector(&format!("time_mix_{bias}.weight"), n_embd));
        let up = Linear { bias: bias.transpose()?, ..w.linear(&up, [rank, n_embd])? };
        Ok(Self { down: w.linear(&down, [n_embd, rank])?, activation, up })
    }

    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let h = cx.linear1(x, &self.down);
        if let Some(activation) = self.activation {
            cx.activate(h, activation);
        }
        cx.linear1(h, &self.up)
    }
}

/// The time mixing of RWKV-6 (Peng et al. 2024, arXiv:2404.05892), and that of QRWKV-6, which is
/// gated linear attention with the same inputs.
pub struct TimeMix6 {
    shape: WkvShape,
    lerp_x: Vector,
    lerp_down: Linear,
    /// Of w, k, v, r and g.
    lerp_up: [Linear; 5],
    decay: Lora,
    receptance: Linear,
    key: Linear,
    value: Linear,
    gate: Linear,
    first: Option<Vector>,
    norm: Option<Norm>,
    output: Linear,
}

impl TimeMix6 {
    /// Loads the layer's tensors `time_mix_*`, with `n_head_kv` heads of keys and values. Those of
    /// QRWKV-6 have no `time_mix_first`, and no norm.
    pub fn load(w: &Weights<'_>, shape: WkvShape, n_head_kv: usize) -> Result<Self, Error> {
        let WkvShape { n_embd, n_head, head_dim } = shape;
        if !n_head.is_multiple_of(n_head_kv.max(1)) {
            let expected = format!("a divisor of the {n_head} heads");
            let (key, value) = ("attention.head_count_kv".into(), n_head_kv.to_string());
            return Err(Error::Value { key, value, expected });
        }
        let kv_width = if n_head_kv == 0 { n_embd } else { n_head_kv * head_dim };
        let extra = w.cols("time_mix_w2.weight")?;
        let lerp_up = w.stack("time_mix_w2.weight", [extra, n_embd, 5])?;
        let lerp_up = load_lerps(w, n_embd)?.map(|(i, bias)| up(&lerp_up, n_embd, i, bias));
        let first = match w.has("time_mix_first.weight") {
            true => Some(w.values("time_mix_first.weight", &[head_dim, n_head])?),
            false => None,
        };
        let norm = NormKind::Layer(HEAD_EPS);
        let norm = first.as_ref().map(|_| norm.load_groups(w, "time_mix_ln", [head_dim, n_head]));
        Ok(Self {
            shape,
            lerp_x: w.values("time_mix_lerp_x.weight", &[n_embd])?,
            lerp_down: w.linear("time_mix_w1", [n_embd, 5 * extra])?,
            lerp_up,
            decay: Lora::load(w, "decay_w", Some("decay"), n_embd, Some(Activation::Tanh))?,
            receptance: w.linear("time_mix_receptance", [n_embd, n_embd])?,
            key: w.linear("time_mix_key", [n_embd, kv_width])?,
            value: w.linear("time_mix_value", [n_embd, kv_width])?,
            gate: w.linear("time_mix_gate", [n_embd, n_embd])?,
            first,
            norm: norm.transpose()?,
            output: w.linear("time_mix_output", [n_embd, n_embd])?,
        })
    }

    /// Width of the residual stream.
    pub fn width(&self) -> usize {
        self.shape.n_embd
    }

    /// Values of the state.
    pub fn state_len(&self) -> usize {
        self.shape.state_len()
    }

    /// `x` and its difference to the row before, `[rows][n_embd]`, to the same.
    pub fn forward(
        &self,
        cx: &mut Forward<'_>,
        x: Tensor,
        delta: Tensor,
        state: [usize; 2],
    ) -> Tensor {
        let WkvShape { n_head, head_dim, .. } = self.shape;
        let mixed = lerp(cx, x, delta, &self.lerp_x);
        let factors = cx.linear1(mixed, &self.lerp_down);
        cx.activate(factors, Activation::Tanh);
        let extra = factors.cols() / 5;
        let [w, k, v, r, g] = [0, 1, 2, 3, 4].map(|i| {
            let factors = factors.columns(i * extra..(i + 1) * extra);
            let mixed = cx.linear1(factors, &self.lerp_up[i]);
            cx.mul_assign(mixed, delta);
            cx.add_assign(mixed, x);
            mixed
        });
        let r = cx.linear1(r, &self.receptance);
        let k = cx.linear1(k, &self.key);
        let v = cx.linear1(v, &self.value);
        let [k, v] = [k, v].map(|t| repeat_heads(cx, t, n_head, head_dim));
        let g = cx.linear1(g, &self.gate);
        let log_decay = self.decay.forward(cx, w);
        cx.activate(log_decay, Activation::Exp);
        cx.scale(log_decay, -1.0);
        let (update, scale, opening) = match &self.first {
            Some(first) => (Update::AddLate(first), 1.0, Activation::Silu),
            None => {
                // What is forgotten makes room for what is written: k (1 - decay).
                let kept = cx.concat(&[log_decay]);
                cx.activate(kept, Activation::Exp);
                cx.mul_assign(kept, k);
                cx.add_scaled(k, kept, -1.0);
                (Update::Add, 1.0 / (head_dim as f32).sqrt(), Activation::Sigmoid)
            }
        };
        let attention = LinearAttention {
            q: r,
            k,
            v,
            log_decay,
            beta: None,
            update,
            n_head,
            n_head_k: n_head,
            sharing: HeadSharing::Neighbours,
            scale,
        };
        let mut y = cx.linear_attention(&attention, state);
        if let Some(norm) = &self.norm {
            y = norm.forward(cx, y);
        }
        let y = cx.glu(g, y, opening.into());
        cx.linear1(y, &self.output)
    }
}

/// The constant parts of the five mixes, `time_mix_lerp_fused` or in older files one by one.
fn load_lerps(w: &Weights<'_>, n_embd: usize) -> Result<[(usize, Vector); 5], Error> {
    let all = match w.has("time_mix_lerp_fused.weight") {
        true => w.values("time_mix_lerp_fused.weight", &[n_embd, 1, 1, 5])?.to_vec(),
        false => {
            let mut all = Vec::with_capacity(5 * n_embd);
            for part in ["w", "k", "v", "r", "g"] {
                let name = format!("time_mix_lerp_{part}.weight");
                all.extend_from_slice(&w.values(&name, &[n_embd])?);
            }
            all
        }
    };
    Ok([0, 1, 2, 3, 4].map(|i| (i, Vector::new(&all[i * n_embd..(i + 1) * n_embd]))))
}

/// Matrix `i` of a stack, with a bias.
fn up(stack: &Weight, n_embd: usize, i: usize, bias: Vector) -> Linear {
    let weight = stack.flattened().slice_rows(i * n_embd..(i + 1) * n_embd);
    Linear { weight, bias: Some(bias), scale: 1.0 }
}

/// Each head as often as it takes to have `n_head`.
fn repeat_heads(cx: &mut Forward<'_>, x: Tensor, n_head: usize, head_dim: usize) -> Tensor {
    let n = x.cols() / head_dim;
    if n == n_head {
        return x;
    }
    let head = |h: usize| x.columns(h * head_dim..(h + 1) * head_dim);
    let heads: Vec<Tensor> = (0..n_head).map(|h| head(h / (n_head / n))).collect();
    cx.concat(&heads)
}

/// The time mixing of RWKV-7 (Peng et al. 2025, arXiv:2503.14456).
pub struct TimeMix7 {
    shape: WkvShape,
    /// Of r, w, k, v, a and g.
    lerps: Vec<Vector>,
    receptance: Linear,
    decay: Lora,
    key: Linear,
    value: Linear,
    /// How much of the first layer's values joins those of another one.
    value_mix: Option<Lora>,
    learning_rate: Lora,
    gate: Option<Lora>,
    k_k: Vector,
    k_a: Vector,
    r_k: Vector,
    norm: Option<Norm>,
    output: Linear,
}

impl TimeMix7 {
    /// Loads the tensors `time_mix_*` of layer `il`.
    pub fn load(w: &Weights<'_>, shape: WkvShape, il: usize) -> Result<Self, Error> {
        let WkvShape { n_embd, n_head, head_dim } = shape;
        let n_lerps =
            if w.has_shape("time_mix_lerp_fused.weight", &[n_embd, 1, 1, 5]) { 5 } else { 6 };
        let lerps = w.values("time_mix_lerp_fused.weight", &[n_embd, 1, 1, n_lerps])?;
        let lora = |name: &str, bias: &str, activation| {
            Lora::load(w, name, Some(bias), n_embd, activation)
        };
        let norm = NormKind::Layer(HEAD_EPS);
        let has = |name| w.has(name);
        let has_gate = n_lerps == 6 && has("time_mix_g1.weight") && has("time_mix_g2.weight");
        let has_norm = has("time_mix_ln.weight") && has("time_mix_ln.bias");
        let gate = || Lora::load(w, "g", None, n_embd, Some(Activation::Sigmoid));
        let load_norm = || norm.load_groups(w, "time_mix_ln", [head_dim, n_head]);
        let vector = |name: &str| w.values(&format!("time_mix_{name}.weight"), &[n_embd]);
        Ok(Self {
            shape,
            lerps: lerps.chunks_exact(n_embd).map(Vector::new).collect(),
            receptance: w.linear("time_mix_receptance", [n_embd, n_embd])?,
            decay: lora("w", "w0", Some(Activation::Tanh))?,
            key: w.linear("time_mix_key", [n_embd, n_embd])?,
            value: w.linear("time_mix_value", [n_embd, n_embd])?,
            value_mix: (il > 0).then(|| lora("v", "v0", None)).transpose()?,
            learning_rate: lora("a", "a0", None)?,
            gate: has_gate.then(gate).transpose()?,
            k_k: vector("k_k")?,
            k_a: vector("k_a")?,
            r_k: vector("r_k")?,
            norm: has_norm.then(load_norm).transpose()?,
            output: w.linear("time_mix_output", [n_embd, n_embd])?,
        })
    }

    /// Width of the residual stream.
    pub fn width(&self) -> usize {
        self.shape.n_embd
    }

    /// Values of the state.
    pub fn state_len(&self) -> usize {
        self.shape.state_len()
    }

    /// `x` and its difference to the row before, `[rows][n_embd]`, to the same. The first layer
    /// shares its values, which the others read.
    pub fn forward(
        &self,
        cx: &mut Forward<'_>,
        x: Tensor,
        delta: Tensor,
        state: [usize; 2],
    ) -> Tensor {
        let WkvShape { n_head, head_dim, .. } = self.shape;
        let mixed: Vec<Tensor> = self.lerps.iter().map(|mu| lerp(cx, x, delta, mu)).collect();
        let r = cx.linear1(mixed[0], &self.receptance);
        let log_decay = self.decay.forward(cx, mixed[1]);
        cx.activate(log_decay, Activation::Sigmoid);
        // e^-0.5: a channel keeps at least e^-e^-0.5 of what it holds.
        cx.scale(log_decay, -0.606_531);
        let k = cx.linear1(mixed[2], &self.key);
        let v = cx.linear1(mixed[3], &self.value);
        match (&self.value_mix, cx.shared) {
            (Some(mix), Some(first)) => {
                let share = mix.forward(cx, mixed[3]);
                cx.activate(share, Activation::Sigmoid);
                let difference = cx.concat(&[first]);
                cx.add_scaled(difference, v, -1.0);
                cx.mul_assign(difference, share);
                cx.add_assign(v, difference);
            }
            _ => cx.shared = Some(v),
        }
        let rate = self.learning_rate.forward(cx, mixed[4]);
        cx.activate(rate, Activation::Sigmoid);
        let removed = cx.mul_vector(k, &self.k_k);
        let removed = unit_heads(cx, removed, head_dim);
        let put = cx.concat(&[removed]);
        cx.mul_assign(put, rate);
        cx.scale(removed, -1.0);
        // k becomes k + (rate - 1) k_a k.
        let scaled = cx.mul_vector(k, &self.k_a);
        cx.add_scaled(k, scaled, -1.0);
        cx.mul_assign(scaled, rate);
        cx.add_assign(k, scaled);
        let attention = LinearAttention {
            q: r,
            k,
            v,
            log_decay,
            beta: None,
            update: Update::Replace { a: removed, b: put },
            n_head,
            n_head_k: n_head,
            sharing: HeadSharing::Neighbours,
            scale: 1.0,
        };
        let mut y = cx.linear_attention(&attention, state);
        if let Some(norm) = &self.norm {
            y = norm.forward(cx, y);
        }
        let own = self.own_values(cx, [r, k, v]);
        cx.add_assign(y, own);
        if let Some(gate) = &self.gate {
            let gate = gate.forward(cx, mixed[5]);
            cx.mul_assign(y, gate);
        }
        cx.linear1(y, &self.output)
    }

    /// Each head's value by `Σ r * k * r_k`.
    fn own_values(&self, cx: &mut Forward<'_>, [r, k, v]: [Tensor; 3]) -> Tensor {
        let head_dim = self.shape.head_dim;
        let heads = |t: Tensor| t.reshape(t.rows() * t.cols() / head_dim, head_dim);
        let (rows, cols) = (v.rows(), v.cols());
        let weighted = cx.mul_vector(k, &self.r_k);
        let sums = cx.mix_streams(heads(weighted), heads(r), 1);
        let own = cx.mix_streams(heads(v), sums, head_dim);
        own.reshape(rows, cols)
    }
}

/// Each head divided by its length.
fn unit_heads(cx: &mut Forward<'_>, x: Tensor, head_dim: usize) -> Tensor {
    // The length is the root-mean-square by the root of the width.
    let x = cx.rms_norm(x, head_dim, None, None, f32::MIN_POSITIVE);
    cx.scale(x, 1.0 / (head_dim as f32).sqrt());
    x
}

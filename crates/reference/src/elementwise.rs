//! Formulas on single values, heads and groups.

use std::f64::consts::FRAC_2_PI;

use backend::{Activation, Glu, RopeLayout};
use quant::{f16_to_f32, f32_to_f16};

/// See [`Activation`].
pub fn activate(x: f32, activation: Activation) -> f32 {
    let wide = f64::from(x);
    match activation {
        Activation::Identity => x,
        Activation::Silu => (wide / (1.0 + (-wide).exp())) as f32,
        Activation::GeluTanh if x <= -10.0 => 0.0,
        Activation::GeluTanh if x >= 10.0 => x,
        Activation::GeluTanh => half(gelu(f64::from(half(x))) as f32),
        Activation::Relu => x.max(0.0),
        Activation::ReluSquared => x.max(0.0) * x.max(0.0),
        Activation::Sigmoid => (1.0 / (1.0 + (-wide).exp())) as f32,
        Activation::Tanh => wide.tanh() as f32,
        Activation::Exp => wide.exp() as f32,
        Activation::Softplus => (wide.max(0.0) + (-wide.abs()).exp().ln_1p()) as f32,
        Activation::Xielu { alpha_p, alpha_n, beta, eps } => {
            let linear = f64::from(beta) * wide;
            let curved = match x > 0.0 {
                true => f64::from(alpha_p) * wide * wide,
                false => f64::from(alpha_n) * (f64::from(x.min(eps)).exp_m1() - wide),
            };
            (curved + linear) as f32
        }
    }
}

/// See [`Glu`].
pub fn glu(gate: f32, up: f32, kind: Glu) -> f32 {
    match kind {
        Glu::Plain(activation) => activate(gate, activation) * up,
        Glu::ClampedSilu { limit } => {
            activate(gate.min(limit), Activation::Silu) * up.clamp(-limit, limit)
        }
        Glu::SiluClamped { limit } => {
            activate(gate, Activation::Silu).min(limit) * up.clamp(-limit, limit)
        }
        Glu::Situ { beta, up_beta } => {
            let up = if up_beta > 0.0 { softcap(up, up_beta) } else { up };
            softcap(gate, beta) * activate(gate, Activation::Sigmoid) * up
        }
        Glu::ClampedSwish { alpha, limit } => {
            let gate = gate.min(limit);
            let open = activate(alpha * gate, Activation::Sigmoid);
            gate * open * (up.clamp(-limit, limit) + 1.0)
        }
    }
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + (FRAC_2_PI.sqrt() * (x + 0.044715 * x * x * x)).tanh())
}

/// Rounded to a half float.
fn half(x: f32) -> f32 {
    f16_to_f32(f32_to_f16(x))
}

/// Softmax of one row, in place.
pub fn softmax(x: &mut [f32]) {
    let most = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp: Vec<f64> = x.iter().map(|&v| (f64::from(v) - f64::from(most)).exp()).collect();
    let sum: f64 = exp.iter().sum();
    x.iter_mut().zip(exp).for_each(|(v, exp)| *v = (exp / sum) as f32);
}

/// `cap · tanh(x / cap)`.
pub fn softcap(x: f32, cap: f32) -> f32 {
    let cap = f64::from(cap);
    (cap * (f64::from(x) / cap).tanh()) as f32
}

/// Euclidean norm.
pub fn length(x: &[f32]) -> f64 {
    x.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt()
}

/// Scales a group to a Euclidean norm, in place; zeros stay.
pub fn set_length(x: &mut [f32], target: f64) {
    let length = length(x);
    if length > 0.0 {
        x.iter_mut().for_each(|v| *v = (f64::from(*v) * target / length) as f32);
    }
}

/// What of one row exceeds its mean by more than `cutoff` standard deviations, in place.
pub fn gaussian_top(x: &mut [f32], cutoff: f32) {
    let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / x.len() as f64;
    let squares = x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>();
    let threshold = mean + f64::from(cutoff) * (squares / (x.len() as f64 - 1.0)).sqrt();
    x.iter_mut().for_each(|v| *v = (f64::from(*v) - threshold).max(0.0) as f32);
}

/// Root-mean-square norm of one group, in place.
pub fn rms_norm(x: &mut [f32], weight: Option<&[f32]>, bias: Option<&[f32]>, eps: f32) {
    scale_to_unit(x, 0.0, eps, weight, bias);
}

/// Layer norm of one group, in place.
pub fn layer_norm(x: &mut [f32], weight: Option<&[f32]>, bias: Option<&[f32]>, eps: f32) {
    let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / x.len() as f64;
    scale_to_unit(x, mean, eps, weight, bias);
}

/// `(x - mean) / sqrt(mean((x - mean)²) + eps) * weight + bias`, in place.
fn scale_to_unit(x: &mut [f32], mean: f64, eps: f32, weight: Option<&[f32]>, bias: Option<&[f32]>) {
    let squares = x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>();
    let factor = 1.0 / (squares / x.len() as f64 + f64::from(eps)).sqrt();
    for (i, v) in x.iter_mut().enumerate() {
        let weight = weight.map_or(1.0, |w| f64::from(w[i]));
        let bias = bias.map_or(0.0, |b| f64::from(b[i]));
        *v = ((f64::from(*v) - mean) * factor * weight + bias) as f32;
    }
}

/// Rotates one head, in place; `table` holds `(cos, sin)` pairs.
pub fn rope(head: &mut [f32], table: &[f32], layout: RopeLayout) {
    for (p, cos_sin) in table.chunks_exact(2).enumerate() {
        let (i, j) = match layout {
            RopeLayout::Norm => (2 * p, 2 * p + 1),
            RopeLayout::Neox => (p, p + table.len() / 2),
        };
        let (a, b) = (f64::from(head[i]), f64::from(head[j]));
        let (cos, sin) = (f64::from(cos_sin[0]), f64::from(cos_sin[1]));
        head[i] = (a * cos - b * sin) as f32;
        head[j] = (a * sin + b * cos) as f32;
    }
}

/// See [`backend::Backend::sinkhorn`], for one matrix.
pub fn sinkhorn(x: &mut [f32], n: usize, rounds: usize, eps: f32) {
    let eps = f64::from(eps);
    let mut m: Vec<f64> = Vec::with_capacity(n * n);
    for row in x.chunks_exact_mut(n) {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exp: Vec<f64> = row.iter().map(|&v| f64::from(v - max).exp()).collect();
        let total: f64 = exp.iter().sum();
        m.extend(exp.iter().map(|v| v / total + eps));
    }
    let mut divide = |by_rows: bool| {
        for line in 0..n {
            let at = |i| if by_rows { line * n + i } else { i * n + line };
            let total = (0..n).map(|i| m[at(i)]).sum::<f64>() + eps;
            (0..n).for_each(|i| m[at(i)] /= total);
        }
    };
    divide(false);
    for _ in 1..rounds {
        divide(true);
        divide(false);
    }
    x.iter_mut().zip(m).for_each(|(x, m)| *x = m as f32);
}

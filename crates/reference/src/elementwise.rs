//! Formulas on single values, heads and groups.

use std::f64::consts::FRAC_2_PI;

use backend::{Activation, RopeLayout};
use quant::{f16_to_f32, f32_to_f16};

/// See [`Activation`].
pub fn activate(x: f32, activation: Activation) -> f32 {
    let wide = f64::from(x);
    match activation {
        Activation::Silu => (wide / (1.0 + (-wide).exp())) as f32,
        Activation::GeluTanh if x <= -10.0 => 0.0,
        Activation::GeluTanh if x >= 10.0 => x,
        Activation::GeluTanh => half(gelu(f64::from(half(x))) as f32),
        Activation::Relu => x.max(0.0),
        Activation::Sigmoid => (1.0 / (1.0 + (-wide).exp())) as f32,
    }
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + (FRAC_2_PI.sqrt() * (x + 0.044715 * x * x * x)).tanh())
}

/// Rounded to a half float.
fn half(x: f32) -> f32 {
    f16_to_f32(f32_to_f16(x))
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
pub fn rms_norm(x: &mut [f32], weight: Option<&[f32]>, eps: f32) {
    let mean = x.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>() / x.len() as f64;
    let factor = 1.0 / (mean + f64::from(eps)).sqrt();
    for (i, v) in x.iter_mut().enumerate() {
        let weight = weight.map_or(1.0, |w| f64::from(w[i]));
        *v = (f64::from(*v) * factor * weight) as f32;
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

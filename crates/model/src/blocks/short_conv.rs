//! Short causal convolutions.

use backend::{Activation, Linear, ShortConv, Tensor, Vector};

use crate::blocks::layer::Mixer;
use crate::error::Error;
use crate::forward::Forward;
use crate::weights::Weights;

/// Loads `NAME.weight` of `shape` `[kernel, channels]` and, where the file has it, `NAME.bias`.
pub fn load(w: &Weights<'_>, name: &str, shape: [usize; 2]) -> Result<ShortConv, Error> {
    load_joined(w, &[name], shape)
}

/// Several convolutions of equal `shape` `[kernel, channels]`, side by side.
pub fn load_joined(
    w: &Weights<'_>,
    names: &[&str],
    [kernel, channels]: [usize; 2],
) -> Result<ShortConv, Error> {
    let mut weights = vec![Vec::with_capacity(names.len() * channels); kernel];
    let mut biases = Vec::new();
    for name in names {
        let parameter = format!("{name}.weight");
        let flat = w.has_shape(&parameter, &[kernel, channels]);
        let shape: &[usize] = if flat { &[kernel, channels] } else { &[kernel, 1, channels] };
        let values = w.values(&parameter, shape)?;
        for (tap, weights) in weights.iter_mut().enumerate() {
            weights.extend(values.iter().skip(tap).step_by(kernel));
        }
        if let Some(bias) = w.opt_vector(&format!("{name}.bias"), channels)? {
            biases.extend_from_slice(&bias);
        }
    }
    let bias = (biases.len() == names.len() * channels).then(|| Vector::new(biases));
    Ok(ShortConv { weight: Vector::new(weights.concat()), bias, kernel })
}

/// The mixer of LFM2 (Liquid AI 2025, arXiv:2511.23404): a convolution between two gates.
pub struct GatedConv {
    input: Linear,
    conv: ShortConv,
    output: Linear,
}

impl GatedConv {
    /// Loads `shortconv.in_proj`, `shortconv.conv` and `shortconv.out_proj`.
    pub fn load(w: &Weights<'_>, n_embd: usize, kernel: usize) -> Result<Self, Error> {
        Ok(Self {
            input: w.linear("shortconv.in_proj", [n_embd, 3 * n_embd])?,
            conv: load(w, "shortconv.conv", [kernel, n_embd])?,
            output: w.linear("shortconv.out_proj", [n_embd, n_embd])?,
        })
    }
}

impl Mixer for GatedConv {
    fn states(&self) -> Vec<usize> {
        vec![self.conv.state_len()]
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, x: Tensor) -> Tensor {
        let n = x.cols();
        let bcx = cx.linear1(x, &self.input);
        let [b, c, x] = [0, 1, 2].map(|i| bcx.columns(i * n..(i + 1) * n));
        cx.mul_assign(x, b);
        let y = cx.short_conv(x, &self.conv, [il, 0]);
        cx.mul_assign(y, c);
        cx.linear1(y, &self.output)
    }
}

/// A convolution followed by SiLU.
pub fn silu_conv(cx: &mut Forward<'_>, x: Tensor, conv: &ShortConv, state: [usize; 2]) -> Tensor {
    let x = cx.short_conv(x, conv, state);
    cx.activate(x, Activation::Silu);
    x
}

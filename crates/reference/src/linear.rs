//! Products with weights.

use std::iter::zip;

use backend::{ExpertGate, ExpertLinear, Experts, Linear, Weight};

use crate::elementwise::{activate, glu};

/// The sum of products in `f64`.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    // Sums that need not wait for each other.
    let mut sums = [0.0; 8];
    for (a, b) in zip(a, b) {
        for (sum, (&a, &b)) in zip(&mut sums, zip(a, b)) {
            *sum += f64::from(a) * f64::from(b);
        }
    }
    let rest = zip(a_rest, b_rest).map(|(&a, &b)| f64::from(a) * f64::from(b));
    sums.into_iter().chain(rest).sum()
}

/// See [`Linear`]: `x` and the result are rows, one after the other.
pub fn linear(layer: &Linear, x: &[f32]) -> Vec<f32> {
    let bias = |row| layer.bias.as_ref().map_or(0.0, |bias| f64::from(bias[row]));
    let scaled = |(row, y)| (f64::from(layer.scale) * y + bias(row)) as f32;
    let products = product(&layer.weight, 0, x);
    let rows = products.chunks_exact(layer.weight.rows());
    rows.flat_map(|y| y.iter().copied().enumerate().map(scaled)).collect()
}

/// A mixture of experts, see [`Experts`]: `x` and the result are rows, one after the other; `chosen`
/// holds for each row its experts and their weights.
pub fn moe(
    x: &[f32],
    chosen: &[Vec<(usize, f32)>],
    weigh_input: bool,
    experts: &Experts,
) -> Vec<f32> {
    let (cols, out_cols) = (experts.up.weight.cols(), experts.down.weight.rows());
    let mut sums = vec![0.0; chosen.len() * out_cols];
    for e in 0..experts.down.weight.count() {
        // An expert that is listed twice counts twice.
        let weight_of = |chosen: &Vec<(usize, f32)>| {
            chosen.iter().filter(|c| c.0 == e).map(|c| c.1).reduce(|a, b| a + b)
        };
        let rows = chosen.iter().enumerate().filter_map(|(row, c)| Some((row, weight_of(c)?)));
        let rows: Vec<_> = rows.collect();
        let x: Vec<f32> = rows
            .iter()
            .flat_map(|&(row, weight)| {
                let weight = if weigh_input { weight } else { 1.0 };
                x[row * cols..][..cols].iter().map(move |v| v * weight)
            })
            .collect();
        for (&(row, weight), y) in zip(&rows, expert(experts, e, &x).chunks_exact(out_cols)) {
            let weight = if weigh_input { 1.0 } else { f64::from(weight) };
            for (sum, y) in zip(&mut sums[row * out_cols..][..out_cols], y) {
                *sum += weight * y;
            }
        }
    }
    sums.into_iter().map(|v| v as f32).collect()
}

fn expert(experts: &Experts, e: usize, x: &[f32]) -> Vec<f64> {
    let up = product_of(&experts.up, e, x).into_iter().map(|v| v as f32);
    let middle: Vec<f32> = match &experts.gate {
        ExpertGate::Gated(gate, kind) => {
            zip(product_of(gate, e, x), up).map(|(gate, up)| glu(gate as f32, up, *kind)).collect()
        }
        ExpertGate::Plain(activation) => up.map(|v| activate(v, *activation)).collect(),
    };
    product_of(&experts.down, e, &middle)
}

fn product_of(linear: &ExpertLinear, e: usize, x: &[f32]) -> Vec<f64> {
    let (scale, bias) = (f64::from(linear.scale_of(e)), linear.bias_of(e));
    let scaled = |(i, y)| scale * y + bias.map_or(0.0, |bias| f64::from(bias[i]));
    let products = product(&linear.weight, e, x);
    let rows = products.chunks_exact(linear.weight.rows());
    rows.flat_map(|y| y.iter().copied().enumerate().map(scaled)).collect()
}

/// Matrix `index` of the weight times each row of `x`.
pub fn product(weight: &Weight, index: usize, x: &[f32]) -> Vec<f64> {
    let (rows, cols) = (weight.rows(), weight.cols());
    let mut out = vec![0.0; x.len() / cols * rows];
    let mut decoded = vec![0.0; cols];
    for row in 0..rows {
        weight.decode_row(index, row, &mut decoded);
        for (x, out) in zip(x.chunks_exact(cols), out.chunks_exact_mut(rows)) {
            out[row] = dot(&decoded, x);
        }
    }
    out
}

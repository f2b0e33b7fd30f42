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

/// See [`Linear`].
pub fn linear(layer: &Linear, x: &[f32]) -> Vec<f32> {
    let bias = |row| layer.bias.as_ref().map_or(0.0, |bias| f64::from(bias[row]));
    let products = product(&layer.weight, 0, x).into_iter().enumerate();
    products.map(|(row, y)| (f64::from(layer.scale) * y + bias(row)) as f32).collect()
}

/// One row of a mixture of experts, see [`Experts`], with its chosen experts and their weights.
pub fn moe(x: &[f32], chosen: &[(usize, f32)], weigh_input: bool, experts: &Experts) -> Vec<f32> {
    let mut sum = vec![0.0; experts.down.weight.rows()];
    for &(e, weight) in chosen {
        let (input_weight, output_weight) = if weigh_input { (weight, 1.0) } else { (1.0, weight) };
        let x: Vec<f32> = x.iter().map(|v| v * input_weight).collect();
        for (sum, y) in sum.iter_mut().zip(expert(experts, e, &x)) {
            *sum += f64::from(output_weight) * y;
        }
    }
    sum.into_iter().map(|v| v as f32).collect()
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
    let products = product(&linear.weight, e, x).into_iter().enumerate();
    products.map(|(i, y)| scale * y + bias.map_or(0.0, |bias| f64::from(bias[i]))).collect()
}

/// Matrix `index` of the weight times `x`.
pub fn product(weight: &Weight, index: usize, x: &[f32]) -> Vec<f64> {
    let mut decoded = vec![0.0; weight.cols()];
    (0..weight.rows())
        .map(|row| {
            weight.decode_row(index, row, &mut decoded);
            dot(&decoded, x)
        })
        .collect()
}

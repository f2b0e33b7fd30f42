//! Products with weights.

use backend::{Experts, Linear, Routing, Vector, Weight};

use crate::elementwise::activate;

/// The sum of products in `f64`.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    std::iter::zip(a, b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// See [`Linear`].
pub fn linear(layer: &Linear, x: &[f32]) -> Vec<f32> {
    let bias = |row| layer.bias.as_ref().map_or(0.0, |bias| f64::from(bias[row]));
    let products = product(&layer.weight, 0, x).into_iter().enumerate();
    products.map(|(row, y)| (f64::from(layer.scale) * y + bias(row)) as f32).collect()
}

/// One row of a mixture of experts, see [`Experts`] and [`Routing`].
pub fn moe(x: &[f32], logits: &[f32], routing: &Routing, experts: &Experts) -> Vec<f32> {
    let mut chosen = Vec::new();
    routing.choose(logits, &mut chosen);
    let mut sum = vec![0.0; experts.down.rows()];
    for (e, weight) in chosen {
        let (input_weight, output_weight) =
            if routing.weigh_input { (weight, 1.0) } else { (1.0, weight) };
        let x: Vec<f32> = x.iter().map(|v| v * input_weight).collect();
        for (sum, y) in sum.iter_mut().zip(expert(experts, e, &x)) {
            *sum += f64::from(output_weight) * y;
        }
    }
    sum.into_iter().map(|v| v as f32).collect()
}

fn expert(experts: &Experts, e: usize, x: &[f32]) -> Vec<f64> {
    let up = scaled(&experts.up, &experts.up_scale, e, x);
    let middle: Vec<f32> = match &experts.gate {
        Some(gate) => std::iter::zip(scaled(gate, &experts.gate_scale, e, x), up)
            .map(|(gate, up)| activate(gate as f32, experts.activation) * up as f32)
            .collect(),
        None => up.into_iter().map(|v| activate(v as f32, experts.activation)).collect(),
    };
    scaled(&experts.down, &experts.down_scale, e, &middle)
}

fn scaled(weight: &Weight, scale: &Option<Vector>, e: usize, x: &[f32]) -> Vec<f64> {
    let scale = scale.as_ref().map_or(1.0, |scale| f64::from(scale[e]));
    product(weight, e, x).into_iter().map(|y| scale * y).collect()
}

/// Matrix `index` of the weight times `x`.
fn product(weight: &Weight, index: usize, x: &[f32]) -> Vec<f64> {
    let mut decoded = vec![0.0; weight.cols()];
    (0..weight.rows())
        .map(|row| {
            weight.decode_row(index, row, &mut decoded);
            dot(&decoded, x)
        })
        .collect()
}

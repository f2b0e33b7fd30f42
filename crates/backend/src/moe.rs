//! Mixture-of-experts feed-forward: routing and parameters.

use crate::ops::Activation;
use crate::weight::{Vector, Weight};

/// How router logits become probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gating {
    /// Softmax over all experts.
    Softmax,
    /// Each expert's sigmoid.
    Sigmoid,
    /// Softmax over the logits of the chosen experts only.
    SoftmaxOfChosen,
}

/// How a token's experts are chosen and weighed.
#[derive(Debug, Clone)]
pub struct Routing {
    /// Experts per token.
    pub n_used: usize,
    /// Probabilities from logits.
    pub gating: Gating,
    /// Added to probabilities for the choice only, one value per expert.
    pub selection_bias: Option<Vector>,
    /// Divide the chosen probabilities by their sum.
    pub normalize: bool,
    /// Factor of the weights.
    pub scale: f32,
    /// Weigh an expert's input instead of its output (Llama 4).
    pub weigh_input: bool,
}

/// Smallest sum that chosen probabilities are divided by: 2^-14, the least normal half float.
const MIN_SUM: f32 = 6.103_515_6e-5;

impl Routing {
    /// Chooses experts for one token and fills `out` with `(expert, weight)`, best first. Equal
    /// scores go to the lower index.
    pub fn choose(&self, logits: &[f32], out: &mut Vec<(usize, f32)>) {
        out.clear();
        let probability: Vec<f32> = match self.gating {
            Gating::Softmax => softmax(logits),
            Gating::Sigmoid => logits.iter().map(|&x| 1.0 / (1.0 + (-x).exp())).collect(),
            Gating::SoftmaxOfChosen => logits.to_vec(),
        };
        let score = |e: usize| match &self.selection_bias {
            Some(bias) => probability[e] + bias[e],
            None => probability[e],
        };
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
        order.truncate(self.n_used);
        let mut weights: Vec<f32> = order.iter().map(|&e| probability[e]).collect();
        if self.gating == Gating::SoftmaxOfChosen {
            weights = softmax(&weights);
        }
        if self.normalize {
            let sum = weights.iter().sum::<f32>().max(MIN_SUM);
            weights.iter_mut().for_each(|w| *w /= sum);
        }
        out.extend(order.into_iter().zip(weights.into_iter().map(|w| w * self.scale)));
    }
}

fn softmax(x: &[f32]) -> Vec<f32> {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp: Vec<f32> = x.iter().map(|&v| (v - max).exp()).collect();
    let sum: f32 = exp.iter().sum();
    exp.into_iter().map(|v| v / sum).collect()
}

/// The experts' parameters. For expert `e` and its input `x`:
/// `down_scale[e] · Down[e] (act(gate_scale[e] · Gate[e] x) * (up_scale[e] · Up[e] x))`.
/// Without gates the middle is `act(Up[e] x)`.
#[derive(Debug, Clone)]
pub struct Experts {
    /// `[n_expert][n_ff][n_embd]`.
    pub gate: Option<Weight>,
    /// `[n_expert][n_ff][n_embd]`.
    pub up: Weight,
    /// `[n_expert][n_embd][n_ff]`.
    pub down: Weight,
    /// One factor per expert.
    pub gate_scale: Option<Vector>,
    /// One factor per expert.
    pub up_scale: Option<Vector>,
    /// One factor per expert.
    pub down_scale: Option<Vector>,
    /// The non-linearity.
    pub activation: Activation,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routing() -> Routing {
        Routing {
            n_used: 2,
            gating: Gating::Softmax,
            selection_bias: None,
            normalize: true,
            scale: 1.0,
            weigh_input: false,
        }
    }

    #[test]
    fn normalized_weights_sum_to_one_and_ties_take_the_lower_index() {
        let mut chosen = Vec::new();
        routing().choose(&[1.0, 3.0, 3.0, 0.0], &mut chosen);
        assert_eq!(chosen.iter().map(|c| c.0).collect::<Vec<_>>(), [1, 2]);
        assert!((chosen[0].1 - 0.5).abs() < 1e-6 && (chosen[1].1 - 0.5).abs() < 1e-6);
    }

    #[test]
    fn selection_bias_changes_the_choice_but_not_the_weight() {
        let bias = Some(Vector::new(vec![0.0, 0.0, 10.0]));
        let routing = Routing {
            gating: Gating::Sigmoid,
            selection_bias: bias,
            normalize: false,
            ..routing()
        };
        let mut chosen = Vec::new();
        routing.choose(&[0.0, 5.0, -5.0], &mut chosen);
        assert_eq!(chosen[0].0, 2);
        assert!((chosen[0].1 - 1.0 / (1.0 + 5f32.exp())).abs() < 1e-7);
    }
}

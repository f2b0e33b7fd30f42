//! Mixture-of-experts feed-forward: routing and parameters.

use crate::ops::{Activation, Glu};
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
    /// The square root of each expert's `ln(1 + e^logit)`.
    SqrtSoftplus,
}

/// Experts in groups of equal size, of which only the best may be chosen from. A group is as good
/// as its best two experts together (DeepSeek-V3, arXiv:2412.19437).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Groups {
    /// Number of groups; divides the number of experts.
    pub n: usize,
    /// Groups to choose from.
    pub n_used: usize,
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
    /// Groups that limit the choice.
    pub groups: Option<Groups>,
    /// Divide the chosen probabilities by their sum.
    pub normalize: bool,
    /// Factor of the weights.
    pub scale: f32,
    /// Weigh an expert's input instead of its output (Llama 4). Not for experts with biases.
    pub weigh_input: bool,
}

/// Smallest sum that chosen probabilities are divided by: 2^-14, the least normal half float.
const MIN_SUM: f32 = 6.103_515_6e-5;

impl Routing {
    /// The usual: softmax over all experts, divided by the sum of the chosen.
    pub fn softmax(n_used: usize) -> Self {
        Self {
            n_used,
            gating: Gating::Softmax,
            selection_bias: None,
            groups: None,
            normalize: true,
            scale: 1.0,
            weigh_input: false,
        }
    }

    /// Chooses experts for one token and fills `out` with `(expert, weight)`, best first. Equal
    /// scores go to the lower index.
    pub fn choose(&self, logits: &[f32], out: &mut Vec<(usize, f32)>) {
        out.clear();
        let probability = self.probabilities(logits);
        let mut score = probability.clone();
        if let Some(bias) = &self.selection_bias {
            score.iter_mut().zip(bias.iter()).for_each(|(score, bias)| *score += bias);
        }
        if let Some(groups) = self.groups {
            groups.hide_others(&mut score);
        }
        let mut order = best_first(&score);
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

    fn probabilities(&self, logits: &[f32]) -> Vec<f32> {
        match self.gating {
            Gating::Softmax => softmax(logits),
            Gating::Sigmoid => logits.iter().map(|&x| 1.0 / (1.0 + (-x).exp())).collect(),
            Gating::SoftmaxOfChosen => logits.to_vec(),
            Gating::SqrtSoftplus => {
                logits.iter().map(|&x| (x.max(0.0) + (-x.abs()).exp().ln_1p()).sqrt()).collect()
            }
        }
    }
}

impl Groups {
    /// Makes experts outside of the best groups worse than all others.
    fn hide_others(self, score: &mut [f32]) {
        let size = score.len() / self.n;
        let of_group = |scores: &[f32]| best_first(scores).iter().take(2).map(|&e| scores[e]).sum();
        let group_score: Vec<f32> = score.chunks_exact(size).map(of_group).collect();
        for &group in &best_first(&group_score)[self.n_used..] {
            score[group * size..(group + 1) * size].fill(f32::NEG_INFINITY);
        }
    }
}

/// Indices by descending score; equal ones in their order.
fn best_first(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order
}

fn softmax(x: &[f32]) -> Vec<f32> {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp: Vec<f32> = x.iter().map(|&v| (v - max).exp()).collect();
    let sum: f32 = exp.iter().sum();
    exp.into_iter().map(|v| v / sum).collect()
}

/// A product per expert: for expert `e`, `scale[e] · (W[e] x) + bias[e]`.
#[derive(Debug, Clone)]
pub struct ExpertLinear {
    /// `[n_expert][n_out][n_in]`.
    pub weight: Weight,
    /// One factor per expert.
    pub scale: Option<Vector>,
    /// `[n_expert][n_out]`.
    pub bias: Option<Vector>,
}

impl ExpertLinear {
    /// The factor of expert `e`.
    pub fn scale_of(&self, e: usize) -> f32 {
        self.scale.as_ref().map_or(1.0, |scale| scale[e])
    }

    /// What is added for expert `e`.
    pub fn bias_of(&self, e: usize) -> Option<&[f32]> {
        let n = self.weight.rows();
        self.bias.as_ref().map(|bias| &bias[e * n..(e + 1) * n])
    }
}

/// What happens between an expert's two products.
#[derive(Debug, Clone)]
pub enum ExpertGate {
    /// A gate of its own input joins `up`.
    Gated(ExpertLinear, Glu),
    /// A function of `up`.
    Plain(Activation),
}

/// The experts' parameters. For expert `e` and its input `x`: `down(glu(gate(x), up(x)))`, or
/// `down(act(up(x)))` without gates.
#[derive(Debug, Clone)]
pub struct Experts {
    /// `[n_embd]` to `[n_ff]`.
    pub gate: ExpertGate,
    /// `[n_embd]` to `[n_ff]`.
    pub up: ExpertLinear,
    /// `[n_ff]` to `[n_embd]`.
    pub down: ExpertLinear,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routing() -> Routing {
        Routing::softmax(2)
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

    #[test]
    fn only_the_groups_with_the_best_pair_are_chosen_from() {
        let groups = Some(Groups { n: 3, n_used: 1 });
        let routing = Routing { gating: Gating::SqrtSoftplus, groups, ..routing() };
        let mut chosen = Vec::new();
        routing.choose(&[9.0, -9.0, 6.0, 5.0, 0.0, 0.0], &mut chosen);
        assert_eq!(chosen.iter().map(|c| c.0).collect::<Vec<_>>(), [2, 3]);
        let root = |x: f32| x.exp().ln_1p().sqrt();
        let expected = root(6.0) / (root(6.0) + root(5.0));
        assert!((chosen[0].1 - expected).abs() < 1e-6);
    }
}

//! GroveMoE (Ant Group 2025, arXiv:2508.07785): Qwen3 MoE whose experts are in groups, each with an
//! adjugate expert of its own that works on the chosen experts' output.

use backend::Experts;

use super::prelude::*;
use crate::blocks::moe::load_experts;

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, .. } = source;
    let (norm, rope) = (source.rms_norm()?, source.rope(RopeLayout::Neox)?);
    let group = keys.count("experts_per_group")?;
    let n_adjugate = hp.n_expert / group;
    let group_scale = keys.f32("expert_group_scale")?;
    let experts = source.normalized_routing()?;
    let model = Decoder::load(source, norm, |il, w| {
        let attention = Attention::load(w, hp, il)?.with_rope(&rope).with_head_norms(w, norm)?;
        let ffn = GroveMoe {
            experts: Moe::load(w, hp, experts.clone(), Activation::Silu)?,
            adjugate: load_experts(w, "chexps", hp.n_embd, n_adjugate, Activation::Silu.into())?,
            n_used: hp.n_expert_used.min(n_adjugate),
            group,
            group_scale,
        };
        Layer::pre_norm(w, norm, hp.n_embd, attention, ffn)
    })?;
    Ok(Arc::new(model))
}

struct GroveMoe {
    experts: Moe,
    adjugate: Experts,
    /// Adjugate experts per token.
    n_used: usize,
    /// Experts per adjugate expert.
    group: usize,
    group_scale: f32,
}

impl FeedForward for GroveMoe {
    fn forward(&self, cx: &mut Forward<'_>, x: Tensor) -> Tensor {
        let logits = cx.linear1(x, &self.experts.router);
        let y = self.experts.forward_routed(cx, x, logits);
        let mut values = vec![0.0; logits.rows() * logits.cols()];
        cx.download(logits, &mut values);
        let chosen: Vec<_> =
            values.chunks(logits.cols()).flat_map(|logits| self.choose(logits)).collect();
        let adjugate = cx.moe_chosen(y, &chosen, &self.adjugate);
        cx.add_scaled(y, adjugate, self.group_scale);
        y
    }
}

impl GroveMoe {
    /// The groups of the best experts. As in llama.cpp a group weighs what the expert of its number
    /// does.
    fn choose(&self, logits: &[f32]) -> Vec<(usize, f32)> {
        let (mut best, mut all) = (Vec::new(), Vec::new());
        let routing = &self.experts.routing;
        Routing { n_used: self.n_used, ..routing.clone() }.choose(logits, &mut best);
        let everyone = Routing { n_used: logits.len(), ..Routing::softmax(logits.len()) };
        everyone.choose(logits, &mut all);
        let mut weights = vec![0.0; logits.len()];
        all.into_iter().for_each(|(expert, weight)| weights[expert] = weight);
        let groups: Vec<usize> = best.into_iter().map(|(expert, _)| expert / self.group).collect();
        let sum: f32 = groups.iter().map(|&group| weights[group]).sum();
        let weight = |group: usize| routing.scale * weights[group] / sum;
        groups.into_iter().map(|group| (group, weight(group))).collect()
    }
}

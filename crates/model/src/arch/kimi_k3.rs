//! Kimi K3 (Moonshot AI 2026): Kimi Linear with gated latent attention, experts on a narrower input,
//! and layers that take a mix of the residual stream now and as it was at checkpoints.

use backend::{Glu, Linear, Weight};

use super::prelude::*;
use crate::Shape;
use crate::blocks::delta_net::{DecayBound, Kda, KdaShape};
use crate::blocks::head::{Embedding, Head};
use crate::blocks::mla::{Mla, MlaSizes};
use crate::blocks::moe::LatentMoe;

struct KimiK3 {
    shape: Shape,
    embedding: Embedding,
    layers: Vec<K3Layer>,
    /// Layers from one checkpoint of the residual stream to the next; 0 for none.
    block_size: usize,
    output_mix: Option<StreamMix>,
    head: Head,
}

struct K3Layer {
    attn_mix: Option<StreamMix>,
    attn_norm: Norm,
    mixer: Box<dyn Mixer>,
    ffn_mix: Option<StreamMix>,
    ffn_norm: Norm,
    ffn: Box<dyn FeedForward>,
}

/// Attention of the residual stream over its checkpoints and itself.
struct StreamMix {
    norm: Norm,
    score: Linear,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    let Source { keys, hp, weights } = source;
    let (norm, n_embd) = (source.rms_norm()?, hp.n_embd);
    let (shape, sizes) = (KdaShape::load(keys, hp)?, MlaSizes::load(keys, hp)?);
    let scale = 1.0 / ((sizes.nope + sizes.rope) as f32).sqrt();
    let bound = match keys.opt_f32("kda.gate_lower_bound")? {
        Some(bound) => DecayBound::Below { bound, sign: -1.0 },
        None => DecayBound::None,
    };
    let glu = Glu::Situ {
        beta: keys.f32("activation.situ_beta")?,
        up_beta: keys.f32("activation.situ_linear_beta")?,
    };
    let block_size = keys.opt_usize("attn_res.block_size")?.unwrap_or(0);
    let mix = |w: &Weights<'_>, name: &str| {
        (block_size > 0).then(|| StreamMix::load(w, name, norm, n_embd)).transpose()
    };
    let layers = (0..hp.n_layer)
        .map(|il| {
            let w = &weights.layer(il);
            let mixer: Box<dyn Mixer> = if hp.n_head_kv[il] == 0 {
                Box::new(Kda::load(w, shape, bound)?)
            } else {
                let mla = Mla::load(w, sizes, norm, None, scale)?;
                Box::new(if w.has("attn_gate.weight") { mla.with_gate(w)? } else { mla })
            };
            let ffn: Box<dyn FeedForward> = match w.has("ffn_gate_inp.weight") {
                true => Box::new(load_experts(w, source, norm, glu)?),
                false => Box::new(Ffn::gated(w, n_embd, glu)?),
            };
            Ok(K3Layer {
                attn_mix: mix(w, "attn_res_score")?,
                attn_norm: norm.load(w, "attn_norm", n_embd)?,
                mixer,
                ffn_mix: mix(w, "ffn_res_score")?,
                ffn_norm: norm.load(w, "ffn_norm", n_embd)?,
                ffn,
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let embedding = Embedding::load(weights, hp)?;
    Ok(Arc::new(KimiK3 {
        shape: Shape {
            n_embd,
            n_vocab: embedding.table.rows(),
            n_ctx_train: hp.n_ctx_train,
            kv: layers.iter().map(|layer| layer.mixer.kv()).collect(),
            caches: layers.iter().map(|layer| layer.mixer.caches()).collect(),
            states: layers.iter().map(|layer| layer.mixer.states()).collect(),
            output: crate::OutputKind::Logits,
        },
        output_mix: mix(weights, "output_res_score")?,
        head: Head::load(weights, hp, norm, &embedding.table)?,
        embedding,
        layers,
        block_size,
    }))
}

fn load_experts(
    w: &Weights<'_>,
    source: &Source<'_>,
    norm: NormKind,
    glu: Glu,
) -> Result<LatentMoe, Error> {
    let hp = &source.hp;
    let n_latent = source.keys.opt_usize("expert_latent_length")?.filter(|&n| n > 0);
    let n_latent = n_latent.unwrap_or(hp.n_embd);
    let shared = || Ffn::gated_named(w, "_shexp", hp.n_embd, glu);
    Ok(LatentMoe {
        down: w.opt_linear("ffn_routed_down", [hp.n_embd, n_latent])?,
        experts: Moe::routed(w, hp, n_latent, source.routing()?, glu)?,
        norm: norm.opt(w, "ffn_routed_norm", n_latent)?,
        up: w.opt_linear("ffn_routed_up", [n_latent, hp.n_embd])?,
        shared: w.has("ffn_gate_shexp.weight").then(shared).transpose()?,
    })
}

impl StreamMix {
    /// Loads `NAME.weight`, whose product with a normed stream is its score.
    fn load(w: &Weights<'_>, name: &str, norm: NormKind, n_embd: usize) -> Result<Self, Error> {
        let score: Weight = w.matrix(&format!("{name}.weight"), [n_embd, 1])?;
        Ok(Self { norm: norm.plain_groups(n_embd), score: Linear::plain(score) })
    }

    /// The mean of the checkpoints and `x`, by the softmax of their scores.
    fn forward(&self, cx: &mut Forward<'_>, checkpoints: Option<Tensor>, x: Tensor) -> Tensor {
        let Some(checkpoints) = checkpoints else { return x };
        let (rows, n_embd) = (x.rows(), x.cols());
        let all = cx.concat(&[checkpoints, x]);
        let n = all.cols() / n_embd;
        let normed = self.norm.forward(cx, all).reshape(rows * n, n_embd);
        let scores = cx.linear1(normed, &self.score).reshape(rows, n);
        cx.softmax(scores);
        cx.mix_streams(all, scores, n_embd)
    }
}

/// The mix of a layer's input, or without one the stream itself.
fn mixed(
    mix: &Option<StreamMix>,
    cx: &mut Forward<'_>,
    checkpoints: Option<Tensor>,
    x: Tensor,
) -> Tensor {
    mix.as_ref().map_or(x, |mix| mix.forward(cx, checkpoints, x))
}

impl Model for KimiK3 {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn forward(&self, cx: &mut Forward<'_>) -> Tensor {
        let x = self.embedding.forward(cx);
        let mut checkpoints: Option<Tensor> = None;
        let mut mark = cx.mark();
        for (il, layer) in self.layers.iter().enumerate() {
            let before = checkpoints;
            let is_checkpoint = self.block_size > 0 && il.is_multiple_of(self.block_size);
            if is_checkpoint {
                let parts: Vec<Tensor> = before.into_iter().chain([x]).collect();
                checkpoints = Some(cx.concat(&parts));
                mark = cx.mark();
            }
            let h = mixed(&layer.attn_mix, cx, before, x);
            let h = layer.attn_norm.forward(cx, h);
            let y = layer.mixer.forward(cx, il, h);
            // After a checkpoint the stream begins anew.
            if is_checkpoint {
                cx.assign(x, y);
            } else {
                cx.add_assign(x, y);
            }
            let h = mixed(&layer.ffn_mix, cx, checkpoints, x);
            let h = layer.ffn_norm.forward(cx, h);
            let f = layer.ffn.forward(cx, h);
            cx.add_assign(x, f);
            cx.release(mark);
        }
        let x = mixed(&self.output_mix, cx, checkpoints, x);
        let x = cx.keep_outputs(x);
        self.head.forward(cx, x)
    }
}

//! BERT (Devlin et al. 2019, arXiv:1810.04805) and encoders of its form, with norms after the sums.
//! Positions are learned; rotary in Nomic BERT (Nussbaum et al. 2024, arXiv:2402.01613) and Jina's
//! third embedding model (Sturua et al. 2024, arXiv:2409.10173); linear biases in Jina BERT 2
//! (Günther et al. 2023, arXiv:2310.19923).

use super::prelude::*;
use crate::KvShape;
use crate::blocks::pooling::{Pooler, Pooling};

const MAX_ALIBI_BIAS: f32 = 8.0;

enum Positions {
    Learned,
    Rotary,
    Alibi,
}

/// A layer with norms after the sums.
struct PostNormLayer {
    attention: Attention,
    attn_norm: Norm,
    /// After adding the layer's input once more.
    attn_norm_2: Option<Norm>,
    ffn: Box<dyn FeedForward>,
    ffn_norm: Norm,
}

pub(super) fn load(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load_as(source, &Positions::Learned)
}

pub(super) fn load_rotary(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load_as(source, &Positions::Rotary)
}

pub(super) fn load_alibi(source: &Source<'_>) -> Result<Arc<dyn Model>, Error> {
    load_as(source, &Positions::Alibi)
}

fn load_as(source: &Source<'_>, positions: &Positions) -> Result<Arc<dyn Model>, Error> {
    let Source { hp, weights, .. } = source;
    let norm = source.layer_norm()?;
    let (rope, gate) = match positions {
        Positions::Rotary => (Some(source.rope(RopeLayout::Neox)?), Activation::Silu),
        _ => (None, Activation::GeluTanh),
    };
    let mut model = Decoder::with_last_norm(source, None, |il, w| {
        let mut attention = Attention::load(w, hp, il)?.with_mask(Mask::Full);
        attention.rope = rope.clone();
        if let Positions::Alibi = positions {
            attention = attention.with_alibi(MAX_ALIBI_BIAS);
        }
        if w.has("attn_q_norm.weight") {
            attention = attention.with_row_norms(w, norm)?;
        }
        Ok(PostNormLayer {
            attention,
            attn_norm: norm.load(w, "attn_output_norm", hp.n_embd)?,
            attn_norm_2: norm.opt(w, "attn_norm_2", hp.n_embd)?,
            ffn: ffn(source, w, gate)?,
            ffn_norm: norm.load(w, "layer_output_norm", hp.n_embd)?,
        })
    })?;
    model.embedding.norm = Some(norm.load(weights, "token_embd_norm", hp.n_embd)?);
    if weights.has("token_types.weight") {
        model.embedding.token_types = Some(weights.table("token_types.weight", hp.n_embd)?);
    }
    if let Positions::Learned = positions {
        model.embedding.positions = Some(weights.table("position_embd.weight", hp.n_embd)?);
    }
    let pooler = Pooler::load(source)?;
    let pooler = pooler.with_classifier(source, Pooling::First, Activation::Tanh)?;
    Ok(Arc::new(model.with_pooler(pooler)))
}

/// Experts, or gated by a product or by half of `ffn_up`, or plain.
fn ffn(
    source: &Source<'_>,
    w: &Weights<'_>,
    gate: Activation,
) -> Result<Box<dyn FeedForward>, Error> {
    let hp = &source.hp;
    if w.has("ffn_gate_inp.weight") {
        return Ok(Box::new(Moe::load(w, hp, source.routing()?, Activation::GeluTanh)?));
    }
    let narrow = [hp.n_embd, w.cols("ffn_down.weight")?];
    Ok(Box::new(match w.has("ffn_gate.weight") {
        true => Ffn::gated(w, hp.n_embd, gate)?,
        false if w.has_shape("ffn_up.weight", &narrow) => {
            Ffn::plain(w, hp.n_embd, Activation::GeluTanh)?
        }
        false => Ffn::fused(w, "", hp.n_embd, gate)?,
    }))
}

impl Block for PostNormLayer {
    fn kv(&self) -> KvShape {
        self.attention.kv()
    }

    fn is_causal(&self) -> bool {
        self.attention.is_causal()
    }

    fn prepare(&self, cx: &mut Forward<'_>) {
        self.attention.prepare(cx);
    }

    fn forward(&self, cx: &mut Forward<'_>, il: usize, mut x: Tensor, last: bool) -> Tensor {
        let mut a = self.attention.forward(cx, il, x);
        if last {
            [x, a] = [x, a].map(|t| cx.keep_outputs(t));
        }
        cx.add_assign(a, x);
        let mut h = self.attn_norm.forward(cx, a);
        if let Some(norm) = &self.attn_norm_2 {
            cx.add_assign(h, x);
            h = norm.forward(cx, h);
        }
        let f = self.ffn.forward(cx, h);
        cx.add_assign(f, h);
        let y = self.ffn_norm.forward(cx, f);
        cx.assign(x, y);
        x
    }
}
